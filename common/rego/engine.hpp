// Rego v1 policies: compile a set of them with one data document, evaluate paths below `data`, run
// the tests inside the model.
//
// The engine is the Rust crate regorus, pinned, behind a C interface (rego_c.h). `http.send` is not
// built in, `opa.runtime` shows no environment, and no input reaches the network or a file.
// README.md beside this file says what is found at compile time and what only at evaluation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "common/result.hpp"

struct notp_rego_document;
struct notp_rego_policy;

namespace notp::rego {

// `path` names the module in diagnostics; `text` needs to live only for the call.
struct SourceFile {
  std::string path;
  std::string_view text;
};

// One finding. `line` and `column` count from 1; 0 when the finding has no place, and `path` is
// then empty.
struct Diagnostic {
  std::string path;
  int line = 0;
  int column = 0;
  std::string message;
};

// "path:line:column: message", without the place when there is none.
std::string to_string(const Diagnostic& diagnostic);

struct Limits {
  int64_t evaluation_ms = limits::kEvaluationMs;
  int64_t test_ms = 5'000;  // one test rule
  int64_t tests_ms = limits::kModelTestsMs;
  size_t module_bytes_max = limits::kRegoFileBytesMax;
  size_t data_bytes_max = limits::kModelBytesMax;
  size_t input_bytes_max = limits::kInputBytesMax;
  size_t result_bytes_max = 64 << 20;
  size_t diagnostics_max = limits::kFindingsMax;
  // Syntax tree levels, statements included, along the deepest chain of rules and functions that
  // need each other: it bounds the stack of an evaluation. A level costs up to about 2 KiB, so the
  // default stays below 2 MiB of the thread's stack.
  size_t rule_depth_max = 1'000;
};

enum class TestOutcome : uint8_t { kPass, kFail, kError, kSkipped };

struct TestResult {
  std::string package;  // "data.a.b"
  std::string name;     // "test_x", "test_x#01" for the second rule of that name
  std::string path;
  int line = 0;
  TestOutcome outcome = TestOutcome::kFail;
  std::string message;  // why it did not pass, with what the test printed
};

struct PackageOf {
  std::string path;                  // the module
  std::vector<std::string> package;  // {"a", "b"} for `package a.b`
};

// Parsed data at its place below `data`, shared by reference count with every policy compiled over
// it: a change of one rule need not parse a hundred megabytes of unchanged data again. Immutable;
// any thread.
class Document {
 public:
  // path: "a/b/c"; "" for a document that is an object of its own top-level names. kMessage: not
  // JSON, or deeper than 128 levels, or no object at "". kLimit: over data_bytes_max.
  static Result<std::shared_ptr<const Document>> parse(std::string_view path, ByteView json,
                                                       const Limits& limits = {});

  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;
  ~Document();

 private:
  friend class Policy;
  explicit Document(notp_rego_document* handle) : handle_(handle) {}

  notp_rego_document* const handle_;
};

// An immutable compiled set of policies and data. All const members may be called from any number
// of threads at once: each call works on its own clone of the engine's state, in which modules and
// data are shared by reference count, and only the objects on the paths that rules write to are
// copied. The destructor runs on whichever thread lets go last.
class Policy {
 public:
  // data_json: one JSON object, empty for none. The model's data files, already merged.
  // Every module that does not parse is reported; when all parse, everything the analysis finds.
  [[nodiscard]] static std::expected<std::shared_ptr<const Policy>, std::vector<Diagnostic>>
  compile(std::span<const SourceFile> modules, ByteView data_json, const Limits& limits = {});

  // The same over parsed documents, which are merged; different values at one path are a finding.
  [[nodiscard]] static std::expected<std::shared_ptr<const Policy>, std::vector<Diagnostic>>
  compile(std::span<const SourceFile> modules,
          std::span<const std::shared_ptr<const Document>> documents, const Limits& limits = {});

  // How many sets of policies this process has compiled, refused ones included.
  static uint64_t compilations();

  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  ~Policy();

  // The same policies, with `document` in the place of the data at its path: for a small document
  // that changes more often than they do. Nothing is parsed or analysed again; what decisions were
  // asked of so far is made ready here, in some tenths of the time that compiling takes. kUsage:
  // rules lie at that path, or above it something that is no object.
  Result<std::shared_ptr<const Policy>> with_document(const Document& document) const;

  // The JSON of data.<path>, where path is "a/b/c", as in OPA's data API: a rule, a value inside
  // one, a package (an object of its rules), plain data, or "" for everything; nothing when it is
  // undefined. An empty input_json leaves `input` undefined.
  // kMessage: the input is not JSON, or deeper than 128 levels. kLimit: input or result too large.
  // kTimeout: the evaluation took longer than evaluation_ms. kInvalidModel: the policy failed, with
  // its place (rules in conflict and the like). kInternal: a bug in the engine.
  Result<std::optional<Bytes>> evaluate(std::string_view path, ByteView input_json) const;

  // Runs every rule named test_*, in module order, as `opa test` does: true passes, anything else
  // does not; todo_test_* is skipped.
  Result<std::vector<TestResult>> run_tests() const;

  // Packages in module order.
  Result<std::vector<PackageOf>> packages() const;

 private:
  Policy(notp_rego_policy* handle, const Limits& limits) : handle_(handle), limits_(limits) {}

  notp_rego_policy* const handle_;
  const Limits limits_;
};

// For policies that must go while others that call their functions stay: modules with those
// functions of `missing` that `callers` call, each undefined for every argument. A reference to a
// rule that is gone is undefined; a call of a function that is gone would not compile.
Result<std::vector<Bytes>> undefined_functions(std::span<const SourceFile> callers,
                                               std::span<const SourceFile> missing,
                                               const Limits& limits = {});

}  // namespace notp::rego
