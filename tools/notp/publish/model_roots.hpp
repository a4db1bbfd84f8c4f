// Finds the data roots of policies that have no manifest yet, and writes the manifest with them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "protocol/model/data.hpp"
#include "protocol/model/tree.hpp"

namespace notp::cli {

// Loads the content of a model's file by its path.
using FileLoader = std::function<Result<model::Content>(const std::string& path)>;

struct FoundRoots {
  std::vector<std::string> roots;    // sorted, none inside another
  std::vector<std::string> no_root;  // does not fit in a root: "a.rego: package system.log: …"
  size_t policies = 0, tests = 0, documents = 0;
};
// Returns one root for each first name of a package or a document: the longest path that all of
// them share. Ignores test code. The loader's errors.
Result<FoundRoots> find_roots(const model::Files& files, const FileLoader& load);

struct ManifestDraft {
  std::string name, description, author, license;
  std::vector<std::string> roots;
  uint8_t version = 1;                      // of Rego, 0 or 1
  std::map<std::string, uint8_t> versions;  // of folders ("a/b") that differ from their parent
};
Bytes manifest_text(const ManifestDraft& draft);

}  // namespace notp::cli
