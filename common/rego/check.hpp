// Validates a model as `opa check --strict` and `opa test` do: the request and the report.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/rego/snapshot.hpp"

namespace notp::rego {

// The code of a finding that OPA does not have: a module that is not test code needs a definition
// of test code, and so would fail at a node.
inline constexpr std::string_view kTestOnlyCode = "test_only";
// Another one: a key in a document keys/<issuer> that the built-ins for tokens cannot read.
inline constexpr std::string_view kKeySetCode = "key_set";
// Another one: what only an OPA with a token lane has (data.tokens), or the agent alone defines
// (system.notp.tokens).
inline constexpr std::string_view kLaneDataCode = "lane_data";

// One finding. `row` and `column` count from 1; 0 when the finding has no place.
struct Diagnostic {
  std::string path;  // empty when the finding has no place
  int row = 0;
  int column = 0;
  std::string code;  // OPA's: "rego_parse_error", "rego_compile_error", …
  std::string message;
  bool warning = false;
};

// Formats "path:row:column: code: message", without the place when there is none.
std::string to_string(const Diagnostic& diagnostic);

enum class TestOutcome : uint8_t { kPass, kFail, kError, kSkipped };

// One test rule, or one case of it.
struct TestResult {
  std::string package;  // "data.a.b"
  std::string name;     // "test_x", "test_x/stranger" for a case
  std::string path;
  int row = 0;
  TestOutcome outcome = TestOutcome::kFail;
  std::string message;  // why it did not pass, with its output
  int64_t duration_ns = 0;
};

struct CheckModule {
  std::string path;
  Hash hash;
  uint64_t bytes = 0;
  uint8_t rego_version = 1;
  bool is_test = false;  // nodes do not load it: it has no needs
  bool is_used = false;  // of another model, which has its needs
};

struct CheckDocument {
  std::string path;
  std::vector<std::string> mount;
  Hash hash;
  uint64_t bytes = 0;
  DocumentFormat format = DocumentFormat::kJson;
  bool is_test = false;  // nodes do not load it
};

struct CheckRequest {
  std::vector<CheckModule> modules;
  std::vector<CheckDocument> documents;
  std::vector<std::string> allow;  // built-ins that are off unless configured
  bool strict = true;              // findings of strict mode are warnings in the report
  bool run_tests = true;           // when there are no other findings
  bool coverage = false;
  bool needs_only = false;  // only parse and report the engine's needs
  ContentLoader load;
  // Earlier content of documents, by path, from which a large one may differ little; may be empty.
  std::map<std::string, Hash> before;
};

struct CheckReport {
  std::vector<Diagnostic> findings;
  std::map<std::string, std::vector<std::string>> packages;  // by module path
  std::vector<TestResult> tests;                             // of this run
  uint64_t tests_known = 0;   // passed before with the same content; not run again
  std::string coverage_json;  // as `opa test --coverage`; empty unless requested
  // The engine's required features: beyond the minimum, and off unless allowed. Sorted.
  std::vector<std::string> builtins, features;
  bool valid() const;
};

// Thread-safe. Blocking.
class ModelChecker {
 public:
  virtual ~ModelChecker() = default;
  // The report lists the model's faults, including a test that takes too long or too much memory.
  // An Error only when content cannot be loaded (the loader's codes) or the engine cannot be run:
  // kUnavailable, kInternal.
  virtual Result<CheckReport> check(const CheckRequest& request) = 0;
  // For policies that are removed while others that call their functions stay: returns modules with
  // those functions of `missing` that `callers` call, each undefined for every argument.
  virtual Result<std::vector<Bytes>> undefined_functions(const std::vector<CheckModule>& callers,
                                                         const std::vector<CheckModule>& missing,
                                                         const ContentLoader& load) = 0;
};

}  // namespace notp::rego
