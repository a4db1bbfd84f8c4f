// Judging a model as `opa check --strict` and `opa test` do: what is asked, and what comes back.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/rego/snapshot.hpp"

namespace notp::rego {

// The code of a finding that OPA does not have: a module that is not test code needs what test code
// alone defines, and so it would fail at a node.
inline constexpr std::string_view kTestOnlyCode = "test_only";
// Another: a key in a document keys/<issuer> that the built-ins for tokens cannot read.
inline constexpr std::string_view kKeySetCode = "key_set";

// One finding. `row` and `column` count from 1; 0 when the finding has no place.
struct Diagnostic {
  std::string path;  // empty when the finding has no place
  int row = 0;
  int column = 0;
  std::string code;  // OPA's: "rego_parse_error", "rego_compile_error", …
  std::string message;
  bool warning = false;
};

// "path:row:column: code: message", without the place when there is none.
std::string to_string(const Diagnostic& diagnostic);

enum class TestOutcome : uint8_t { kPass, kFail, kError, kSkipped };

// One test rule, or one case of it.
struct TestResult {
  std::string package;  // "data.a.b"
  std::string name;     // "test_x", "test_x/stranger" for a case
  std::string path;
  int row = 0;
  TestOutcome outcome = TestOutcome::kFail;
  std::string message;  // why it did not pass, with what it printed
  int64_t duration_ns = 0;
};

struct CheckModule {
  std::string path;
  Hash hash;
  uint64_t bytes = 0;
  uint8_t rego_version = 1;
  bool is_test = false;  // no node loads it: it has no needs
  bool is_used = false;  // of another model: its needs are that one's
};

struct CheckDocument {
  std::string path;
  std::vector<std::string> mount;
  Hash hash;
  uint64_t bytes = 0;
  DocumentFormat format = DocumentFormat::kJson;
  bool is_test = false;  // no node loads it
};

struct CheckRequest {
  std::vector<CheckModule> modules;
  std::vector<CheckDocument> documents;
  std::vector<std::string> allow;  // built-ins that are off unless configured
  bool strict = true;              // findings of strict mode are warnings in the report
  bool run_tests = true;           // when nothing else is wrong
  bool coverage = false;
  bool needs_only =
      false;  // parse, and say what an engine must have: nothing else is in the report
  ContentLoader load;
  // Earlier content of documents, by path, from which a large one may differ little; may be empty.
  std::map<std::string, Hash> before;
};

struct CheckReport {
  std::vector<Diagnostic> findings;
  std::map<std::string, std::vector<std::string>> packages;  // by module path
  std::vector<TestResult> tests;                             // that were run
  uint64_t tests_known = 0;   // passed before with the same content; not run again
  std::string coverage_json;  // as `opa test --coverage`; empty unless asked for
  // What an engine must have for it: beyond the least, and what is off unless allowed. Sorted.
  std::vector<std::string> builtins, features;
  bool valid() const;
};

// Thread-safe. Blocking.
class ModelChecker {
 public:
  virtual ~ModelChecker() = default;
  // The report says what is wrong with the model, a test that takes too long or too much memory
  // included. An Error only when content cannot be loaded (the loader's codes) or the engine cannot
  // be run: kUnavailable, kInternal.
  virtual Result<CheckReport> check(const CheckRequest& request) = 0;
  // For policies that must go while others that call their functions stay: modules with those
  // functions of `missing` that `callers` call, each undefined for every argument.
  virtual Result<std::vector<Bytes>> undefined_functions(const std::vector<CheckModule>& callers,
                                                         const std::vector<CheckModule>& missing,
                                                         const ContentLoader& load) = 0;
};

}  // namespace notp::rego
