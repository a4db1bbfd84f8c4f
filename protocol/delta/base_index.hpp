// The base of an artifact by number. Both sides hold the base, so a program names its files and
// folders by their place in byte order instead of by their paths.
#pragma once

#include <string_view>
#include <vector>

#include "protocol/model/tree.hpp"

namespace notp::delta {

using BaseFile = Files::value_type;  // path, entry

// Views into a tree, which must outlive it. Without a tree: no files, no folders.
struct BaseIndex {
  std::vector<const BaseFile*> files;     // by path
  std::vector<std::string_view> folders;  // by path; "" is the root of the model

  explicit BaseIndex(const Tree* tree);
  // The files below a folder, as a range of places in `files`.
  std::pair<size_t, size_t> below(std::string_view folder) const;
};

// "" for the root, "folder/" for others: what the paths below start with.
std::string folder_prefix(std::string_view folder);

// The last segment, and what follows the last '.' in it ("" when there is none).
std::string_view base_name(std::string_view path);
std::string_view extension(std::string_view path);
// Everything before the last segment; "" at the top.
std::string_view parent_folder(std::string_view path);

}  // namespace notp::delta
