/* The C interface of the Rego engine in engine/ (a Rust static library). Private to this folder:
 * everything else includes engine.hpp.
 *
 * Every function catches the engine's panics and answers NOTP_REGO_INTERNAL instead. Inputs are
 * (pointer, size) pairs and need no terminator. A call that fills a buffer always fills it; the
 * caller frees it with notp_rego_buffer_free (an empty one has a null pointer). A policy may be
 * used by any number of threads at once; it is freed once, by the last of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct notp_rego_bytes {
  const uint8_t* data;
  size_t size;
} notp_rego_bytes;

typedef struct notp_rego_buffer {
  uint8_t* data;
  size_t size;
} notp_rego_buffer;

typedef struct notp_rego_module {
  notp_rego_bytes path;
  notp_rego_bytes text;
} notp_rego_module;

typedef struct notp_rego_limits {
  uint64_t eval_time_ms;
  uint64_t test_time_ms;  /* one test */
  uint64_t tests_time_ms; /* all tests of the policy; the rest is reported as not run */
  uint64_t module_bytes_max;
  uint64_t result_bytes_max;
  uint64_t diagnostics_max;
  uint64_t rule_depth_max;
} notp_rego_limits;

typedef struct notp_rego_policy notp_rego_policy;
typedef struct notp_rego_document notp_rego_document;

typedef int32_t notp_rego_status;
enum {
  NOTP_REGO_OK = 0,
  NOTP_REGO_UNDEFINED = 1,  /* no value at the path; the buffer is empty */
  NOTP_REGO_FINDINGS = 2,   /* the buffer lists what is wrong */
  NOTP_REGO_BAD_INPUT = 3,  /* not UTF-8, or not JSON; the buffer says why, as below */
  NOTP_REGO_EVALUATION = 4, /* the policy failed, or the schema is no schema */
  NOTP_REGO_TIME = 5,
  NOTP_REGO_TOO_LARGE = 6,
  NOTP_REGO_INTERNAL = 7, /* a panic inside the engine */
};

/* data: one JSON object, empty for none. On NOTP_REGO_OK *policy is set and the buffer is empty.
 * On NOTP_REGO_FINDINGS the buffer is a JSON array of {path, line, column, message}. */
notp_rego_status notp_rego_compile(const notp_rego_module* modules, size_t count,
                                   notp_rego_bytes data, const notp_rego_limits* limits,
                                   notp_rego_policy** policy, notp_rego_buffer* out);
/* Parses data once for any number of policies. path: where it lies below `data`, components
 * separated by slashes; at "" the JSON must be an object. On NOTP_REGO_OK *document is set and the
 * buffer is empty. */
notp_rego_status notp_rego_document_parse(notp_rego_bytes path, notp_rego_bytes json,
                                          notp_rego_document** document, notp_rego_buffer* out);
/* As notp_rego_compile, with documents that are merged; a policy shares them, so that they may be
 * freed before it. Different values at one path are a finding. */
notp_rego_status notp_rego_compile_documents(const notp_rego_module* modules, size_t count,
                                             const notp_rego_document* const* documents,
                                             size_t document_count, const notp_rego_limits* limits,
                                             notp_rego_policy** policy, notp_rego_buffer* out);
/* The same modules over data in which the document takes the place of what lies at its path. Parses
 * and analyses nothing; *policy is a policy of its own, which shares with the first. On
 * NOTP_REGO_BAD_INPUT the buffer says why: rules lie there, or above it something that is no
 * object. */
notp_rego_status notp_rego_with_document(const notp_rego_policy* base,
                                         const notp_rego_document* document,
                                         notp_rego_policy** policy, notp_rego_buffer* out);
/* A JSON array of module texts: the functions of `missing` that `callers` call, undefined for any
 * argument. */
notp_rego_status notp_rego_undefined_functions(const notp_rego_module* callers, size_t caller_count,
                                               const notp_rego_module* missing,
                                               size_t missing_count, const notp_rego_limits* limits,
                                               notp_rego_buffer* out);
void notp_rego_document_free(notp_rego_document* document);
/* path: components below `data`, separated by slashes. input: JSON, empty for no input. */
notp_rego_status notp_rego_evaluate(const notp_rego_policy* policy, notp_rego_bytes path,
                                    notp_rego_bytes input, notp_rego_buffer* out);
/* A JSON array of {package, name, path, line, outcome: pass|fail|error|skip, message}. */
notp_rego_status notp_rego_run_tests(const notp_rego_policy* policy, notp_rego_buffer* out);
/* A JSON array of {path, package}, package being an array of components, in module order. */
notp_rego_status notp_rego_packages(const notp_rego_policy* policy, notp_rego_buffer* out);
/* On NOTP_REGO_FINDINGS the buffer holds one "pointer: message" line for each violation. */
notp_rego_status notp_rego_validate_schema(notp_rego_bytes schema, notp_rego_bytes document,
                                           size_t violations_max, notp_rego_buffer* out);
void notp_rego_policy_free(notp_rego_policy* policy);
void notp_rego_buffer_free(notp_rego_buffer buffer);

#ifdef __cplusplus
}
#endif
