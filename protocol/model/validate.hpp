// Validates models. The CLI calls the same function before a publish as the registry when it
// receives one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"
#include "common/rego/check.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/model/uses.hpp"

namespace notp::model {

// One broken rule. `line` and `column` count from 1; 0 when the finding is about the whole file.
struct ModelFinding {
  std::string path;
  uint32_t line = 0;
  uint32_t column = 0;
  std::string
      rule;  // stable, kebab-case: "path", "manifest-schema", "rego-compile", "test-failed" …
  std::string message;  // the problem and its remedy
};

struct ModelTestSummary {
  uint32_t passed = 0, failed = 0, skipped = 0;
};

struct ModelReport {
  Manifest manifest;  // meaningful when there are no findings
  std::vector<ModelFinding> findings;
  size_t findings_left_out = 0;  // over kFindingsMax
  // Findings of `opa check --strict` that no rule forbids: for people; they never refuse a model.
  std::vector<ModelFinding> warnings;
  ModelTestSummary tests;
  // Each test that was run, by module and line; empty unless requested.
  std::vector<rego::TestResult> test_results;
  std::string coverage_json;  // as `opa test --coverage` writes it; empty unless requested
  // Requirements of this model for an engine: built-ins and language features beyond OPA 1.0 or off
  // unless allowed.
  std::vector<std::string> builtins, features;
  bool valid() const { return findings.empty(); }
};

// Remembers large documents that earlier calls found well-formed at their paths. Thread-safe.
class DocumentMemory {
 public:
  virtual ~DocumentMemory() = default;
  virtual bool knows(std::string_view path, const Hash& content) = 0;
  virtual void keep(std::string_view path, const Hash& content) = 0;
};

struct ValidationOptions {
  DocumentMemory* known = nullptr;
  // An earlier version of the model, whose content the loader also has. Large documents that differ
  // from it in a few places are checked only there.
  const Tree* before = nullptr;
  bool coverage = false;
  bool test_results = false;       // list them in the report
  std::vector<std::string> allow;  // built-ins that are off unless configured
  // The manifest's `uses`, resolved by the caller; null: not resolved, and the functions of other
  // models are unknown.
  const ResolvedUses* uses = nullptr;
};

// Checks everything: kinds of files, manifest, JSON and YAML, JWK Sets without private members,
// data roots of packages and documents, Rego as `opa check` does, passing tests (run when nothing
// else is wrong). Paths were checked when the tree was made. Tests may have any package
// (protocol/model/test_code.hpp), but other policies may not depend on definitions of tests.
// Reports up to kFindingsMax findings and as many warnings, sorted by path. An Error only when
// content cannot be loaded, or the engine cannot be run.
//
// Without an engine (null) policies are only checked as texts.
//
// Large documents that `options.known` has are not parsed again, and those of a valid model are
// added to it; the report is the same. Blocking.
Result<ModelReport> validate_model(const Tree& tree, const BlobLoader& load,
                                   rego::ModelChecker* engine,
                                   const ValidationOptions& options = {});

// "path:line: rule: message" lines for people; further lines of a message are indented.
std::string findings_text(const std::vector<ModelFinding>& findings);

// Merges the model's data documents (data.json, data.yaml: the folder is the data path) into one
// document, as OPA does when it loads the folder. kInvalidModel with the path when two clash.
Result<json::value> merge_data(const Tree& tree, const BlobLoader& load);

// The *.rego files of a tree, test code (is_test_module()) included only when asked for.
std::vector<std::string> rego_paths(const Tree& tree, bool with_tests);

}  // namespace notp::model
