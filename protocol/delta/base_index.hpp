// Indexes the base of an artifact. Both sides hold the base, so a program names its files and
// folders by their index in byte order instead of by their paths.
#pragma once

#include <string_view>
#include <vector>

#include "protocol/model/tree.hpp"

namespace notp::delta {

using BaseFile = model::Files::value_type;  // path, entry

// Views into a tree, which must outlive the index. Without a tree it has no files and no folders.
struct BaseIndex {
  std::vector<const BaseFile*> files;     // by path
  std::vector<std::string_view> folders;  // by path; "" is the root of the model

  explicit BaseIndex(const model::Tree* tree);
  // Returns the files below a folder, as a range of indexes in `files`.
  std::pair<size_t, size_t> below(std::string_view folder) const;
};

// Returns "" for the root, "folder/" for others: the prefix of the paths below.
std::string folder_prefix(std::string_view folder);

// The last segment, and the text after its last '.' ("" when it has none).
std::string_view base_name(std::string_view path);
std::string_view extension(std::string_view path);
// Everything before the last segment; "" at the top.
std::string_view parent_folder(std::string_view path);

}  // namespace notp::delta
