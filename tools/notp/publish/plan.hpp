// Compares two models and prints the difference, as shown before a publish.
#pragma once

#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "protocol/model/tree.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

enum class ChangeKind : uint8_t { kAdd, kChange, kRemove, kRename };

struct Change {
  ChangeKind kind = ChangeKind::kAdd;
  std::string path;
  std::string from;  // the old path of a rename
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
};

// Sorted by path. A removed file whose content appears under a new path is one rename.
std::vector<Change> compare_trees(const model::Tree& before, const model::Tree& after);

struct ChangeCounts {
  uint64_t add = 0, change = 0, remove = 0, rename = 0;
};
ChangeCounts count_changes(const std::vector<Change>& changes);
// "1 to add, 2 to change, 0 to remove" with ", 3 to rename" when there are any.
std::string counts_text(const ChangeCounts& counts);
// "1 added, 2 changed, 0 removed, 0 renamed".
std::string done_text(const ChangeCounts& counts);
json::object counts_json(const ChangeCounts& counts);

// One line for each change: sign, path, sizes; at most `lines_max`, then the number left out.
std::string changes_text(const Output& output, const std::vector<Change>& changes,
                         size_t lines_max);
json::array changes_json(const std::vector<Change>& changes);

// Counts per folder at the top of the model; empty when all changes are in one folder.
std::string folders_text(const Output& output, const std::vector<Change>& changes);

// The data roots that a release gains and loses.
struct RootsChange {
  std::vector<std::string> added, removed;
  bool empty() const { return added.empty() && removed.empty(); }
};
// Both lists are sorted.
RootsChange compare_roots(const std::vector<std::string>& before,
                          const std::vector<std::string>& after);

}  // namespace notp::cli
