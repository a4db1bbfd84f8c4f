// Paths that cannot stand beside each other on every file system.
#pragma once

#include <string>
#include <vector>

#include "protocol/model/tree.hpp"

namespace notp {

struct PathClash {
  std::string path;     // the later of the two, a file of the tree
  std::string rule;     // "path-twin", "path-file-and-folder"
  std::string message;  // names both paths
};

// Files or folders that fold_path() makes the same, and names that are a file and a folder. One
// clash for each file at most, in the order of `files`.
std::vector<PathClash> find_clashes(const Files& files);

}  // namespace notp
