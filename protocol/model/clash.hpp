// Finds paths that cannot coexist on every file system.
#pragma once

#include <string>
#include <vector>

#include "protocol/model/tree.hpp"

namespace notp::model {

struct PathClash {
  std::string path;     // the later of the two, a file of the tree
  std::string rule;     // "path-twin", "path-file-and-folder"
  std::string message;  // names both paths
};

// Finds files or folders that are equal under fold_path(), and names that are both a file and a
// folder. At most one clash for each file, in the order of `files`.
std::vector<PathClash> find_clashes(const Files& files);

}  // namespace notp::model
