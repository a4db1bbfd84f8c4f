// What makes a model valid. The same function runs in the CLI before a publish and in the registry
// at the door.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.hpp"
#include "common/rego/engine.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/tree.hpp"

namespace notp {

// One broken rule. `line` and `column` count from 1; 0 when the finding is about the whole file.
struct ModelFinding {
  std::string path;
  uint32_t line = 0;
  uint32_t column = 0;
  std::string
      rule;  // stable, kebab-case: "path", "manifest-schema", "rego-compile", "test-failed" …
  std::string message;  // what is wrong and what to do
};

struct ModelTestSummary {
  uint32_t passed = 0, failed = 0, skipped = 0;
};

struct ModelReport {
  Manifest manifest;  // meaningful when there are no findings
  std::vector<ModelFinding> findings;
  size_t findings_left_out = 0;  // over kFindingsMax
  ModelTestSummary tests;
  bool valid() const { return findings.empty(); }
};

// Large documents that were found well-formed at their paths in earlier calls.
class DocumentMemory {
 public:
  virtual ~DocumentMemory() = default;
  // nullptr: not this content at this path.
  virtual std::shared_ptr<const rego::Document> find(std::string_view path,
                                                     const Hash& content) = 0;
  // `bytes` are those of its text.
  virtual void keep(std::string_view path, const Hash& content, uint64_t bytes,
                    std::shared_ptr<const rego::Document> document) = 0;
};

// Checks everything: kinds of files, manifest, JSON and YAML, JWK Sets without private members,
// data roots of packages and documents, Rego that compiles as a whole, tests that pass (run when
// nothing else is wrong). Paths were checked when the tree was made. Packages of tests must lie
// within the roots as well: OPA checks every module of a bundle, and a workspace loads into OPA as
// it is. Reports up to kFindingsMax findings, sorted by path. An Error only when content cannot be
// loaded, or the engine fails by itself.
//
// With `before`, large documents that are in it are not parsed again, and those of a valid model go
// into it; the report is the same.
Result<ModelReport> validate_model(const Tree& tree, const BlobLoader& load,
                                   DocumentMemory* before = nullptr);

// "path:line: rule: message" lines for people.
std::string findings_text(const std::vector<ModelFinding>& findings);

// Merges the model's data documents (data.json, data.yaml: the folder is the data path) into one
// document, as OPA does when it loads the folder. kInvalidModel with the path when two clash.
Result<json::value> merge_data(const Tree& tree, const BlobLoader& load);

// The *.rego files of a tree, tests included only when asked for.
std::vector<std::string> rego_paths(const Tree& tree, bool with_tests);

}  // namespace notp
