// The data roots of a body of policies that has no manifest yet, and the manifest that names them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/model/data.hpp"
#include "protocol/model/tree.hpp"

namespace notp {

// The content of a file of a model by its path.
using FileLoader = std::function<Result<Content>(const std::string& path)>;

// The path below data of a module's package, which is its first statement; nullopt when it begins
// with something else.
std::optional<DataPath> package_of(std::string_view module);

struct FoundRoots {
  std::vector<std::string> roots;    // sorted, none inside another
  std::vector<std::string> no_root;  // what cannot lie in one: "a.rego: package system.log: …"
  size_t policies = 0, tests = 0, documents = 0;
};
// A root for each first name of a package or a document: as much of their path as all of them
// share. Test code does not count. The loader's errors.
Result<FoundRoots> find_roots(const Files& files, const FileLoader& load);

struct ManifestDraft {
  std::string name, description, author, license;
  std::vector<std::string> roots;
  uint8_t version = 1;                      // of Rego, 0 or 1
  std::map<std::string, uint8_t> versions;  // of folders ("a/b") that have another than above them
};
Bytes manifest_text(const ManifestDraft& draft);

}  // namespace notp
