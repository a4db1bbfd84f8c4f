#include "protocol/delta/base_index.hpp"

#include <algorithm>

namespace notp::delta {

BaseIndex::BaseIndex(const model::Tree* tree) {
  if (tree == nullptr) return;
  files.reserve(tree->files().size());
  for (const BaseFile& file : tree->files()) files.push_back(&file);
  folders.reserve(tree->folders().size());
  for (const auto& [folder, hash] : tree->folders()) folders.push_back(folder);
}

std::pair<size_t, size_t> BaseIndex::below(std::string_view folder) const {
  const std::string prefix = folder_prefix(folder);
  const auto path = [](const BaseFile* file) -> std::string_view { return file->first; };
  const auto first = std::ranges::lower_bound(files, std::string_view(prefix), {}, path);
  const auto last = std::partition_point(
      first, files.end(), [&](const BaseFile* file) { return file->first.starts_with(prefix); });
  return {first - files.begin(), last - files.begin()};
}

std::string folder_prefix(std::string_view folder) {
  return folder.empty() ? std::string() : std::string(folder) + '/';
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

std::string_view extension(std::string_view path) {
  const std::string_view name = base_name(path);
  const size_t dot = name.rfind('.');
  return dot == name.npos ? std::string_view() : name.substr(dot + 1);
}

std::string_view parent_folder(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace notp::delta
