#include "protocol/delta/tree_diff.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "common/limits.hpp"

namespace notp::delta {
namespace {

using FolderSet = std::set<std::string, std::less<>>;
using Places = std::vector<uint32_t>;

// Whether the path, or a folder that holds it, is in the set.
bool covered(std::string_view path, const FolderSet& folders) {
  if (folders.empty()) return false;
  for (;; path = parent_folder(path)) {
    if (folders.contains(path)) return true;
    if (path.empty()) return false;
  }
}

void insert_parents(std::string_view path, FolderSet& folders) {
  do path = parent_folder(path);
  while (folders.emplace(path).second && !path.empty());
}

uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

class Differ {
 public:
  Differ(const model::Tree* base_tree, const BaseIndex& base, const model::Tree& target)
      : base_tree_(base_tree),
        base_(base),
        target_(target),
        moved_(base.files.size()),
        stays_(base.files.size()) {}

  TreeDiff run() {
    index_base();
    place_folders();
    for (const auto& [path, entry] : target_.files())
      if (!covered(path, placed_)) place_file(path, entry);
    find_resemblances();
    number_contents();
    remove_rest();
    sort_by_source();
    return std::move(out_);
  }

 private:
  struct Fresh {  // content that the base does not have, at its first place
    enum Kind { kModified, kAdded, kLike } kind;
    size_t at;  // in the program's list of that kind
  };

  void index_base() {
    for (uint32_t i = 0; i < base_.files.size(); ++i) {
      const auto& [path, entry] = *base_.files[i];
      by_hash_[entry.hash].push_back(i);
      place_of_[path] = i;
      if (target_.find(path) == nullptr) gone_by_name_[base_name(path)].push_back(i);
    }
  }

  // Places whole folders that are elsewhere in the base. Parents come before their content.
  void place_folders() {
    if (base_tree_ == nullptr) return;
    std::unordered_map<Hash, Places, HashOfHash> by_hash;
    for (uint32_t i = 0; i < base_.folders.size(); ++i)
      by_hash[base_tree_->folders().find(base_.folders[i])->second].push_back(i);
    for (const auto& [folder, hash] : target_.folders()) {
      if (base_tree_->folders().contains(folder) || covered(folder, placed_)) continue;
      const auto found = by_hash.find(hash);
      if (found == by_hash.end()) continue;
      placed_.insert(folder);
      const auto source = std::ranges::find_if(found->second, [&](uint32_t i) {
        return !target_.folders().contains(base_.folders[i]) &&
               !covered(base_.folders[i], left_folders_);
      });
      if (source == found->second.end()) {
        out_.program.copied_folders.push_back({found->second.front(), folder});
      } else {
        out_.program.moved_folders.push_back({*source, folder});
        left_folders_.emplace(base_.folders[*source]);
      }
    }
  }

  void place_file(const std::string& path, const model::FileEntry& entry) {
    const auto here = place_of_.find(path);
    const bool there = here != place_of_.end();
    if (there && base_.files[here->second]->second.hash == entry.hash) {
      stays_[here->second] = true;
      return;
    }
    if (const auto known = by_hash_.find(entry.hash); known != by_hash_.end()) {
      place_known(path, known->second);
    } else if (const auto twin = fresh_.find(entry.hash); twin != fresh_.end()) {
      twins_.emplace_back(entry.hash, path);
    } else if (there) {
      stays_[here->second] = true;
      fresh_[entry.hash] = {Fresh::kModified, out_.program.modified.size()};
      modified_hashes_.push_back(entry.hash);
      out_.program.modified.push_back({here->second, entry.bytes});
    } else {
      fresh_[entry.hash] = {Fresh::kAdded, added_.size()};
      added_.push_back({path, entry});
    }
  }

  // Places content of the base at another path: moved from a removed file, preferably with the same
  // name, or copied.
  void place_known(const std::string& path, const Places& sources) {
    const auto free = [&](uint32_t i) {
      return !moved_[i] && target_.find(base_.files[i]->first) == nullptr &&
             !covered(base_.files[i]->first, left_folders_);
    };
    auto source = std::ranges::find_if(sources, [&](uint32_t i) {
      return free(i) && base_name(base_.files[i]->first) == base_name(path);
    });
    if (source == sources.end()) source = std::ranges::find_if(sources, free);
    if (source == sources.end()) {
      out_.program.copied_files.push_back({sources.front(), path});
    } else {
      moved_[*source] = true;
      out_.program.moved_files.push_back({*source, path});
    }
  }

  // Finds new files that were probably renamed and edited: coded against the removed file of the
  // same name; a large one also against a neighbouring file of its kind.
  void find_resemblances() {
    for (auto& [path, entry] : added_) {
      const Places* candidates = nullptr;
      if (const auto named = gone_by_name_.find(base_name(path)); named != gone_by_name_.end())
        candidates = &named->second;
      const Places neighbours = candidates == nullptr && entry.bytes > limits::kSmallFileBytesMax
                                    ? large_neighbours(path)
                                    : Places{};
      if (!neighbours.empty()) candidates = &neighbours;
      if (candidates == nullptr) {
        fresh_[entry.hash] = {Fresh::kAdded, added_hashes_.size()};
        added_hashes_.push_back(entry.hash);
        out_.program.added.push_back({path, entry.bytes});
        continue;
      }
      const uint32_t like = *std::ranges::min_element(*candidates, {}, [&](uint32_t i) {
        return distance(base_.files[i]->second.bytes, entry.bytes);
      });
      like_.push_back({{like, path, entry.bytes}, entry.hash});
    }
    std::ranges::sort(like_, {}, [](const auto& one) {
      return std::pair(one.first.file, std::string_view(one.first.path));
    });
    for (auto& [added, hash] : like_) {
      fresh_[hash] = {Fresh::kLike, out_.program.added_like.size()};
      out_.program.added_like.push_back(std::move(added));
    }
  }

  Places large_neighbours(std::string_view path) const {
    Places out;
    const auto [first, last] = base_.below(parent_folder(path));
    for (size_t i = first; i < last; ++i) {
      const auto& [other, entry] = *base_.files[i];
      if (parent_folder(other) == parent_folder(path) && extension(other) == extension(path) &&
          entry.bytes > limits::kSmallFileBytesMax)
        out.push_back(static_cast<uint32_t>(i));
    }
    return out;
  }

  void number_contents() {
    out_.contents = modified_hashes_;
    out_.contents.insert(out_.contents.end(), added_hashes_.begin(), added_hashes_.end());
    for (const auto& [added, hash] : like_) out_.contents.push_back(hash);
    for (auto& [hash, path] : twins_) {
      const Fresh& twin = fresh_.at(hash);
      size_t at = twin.at;
      if (twin.kind != Fresh::kModified) at += modified_hashes_.size();
      if (twin.kind == Fresh::kLike) at += added_hashes_.size();
      out_.program.same.push_back({static_cast<uint32_t>(at), std::move(path)});
    }
  }

  // Removes files that neither stay nor move, by the largest folders without a remaining file.
  void remove_rest() {
    FolderSet staying, leaving;
    std::vector<uint32_t> rest;
    for (uint32_t i = 0; i < base_.files.size(); ++i) {
      const std::string_view path = base_.files[i]->first;
      if (stays_[i]) {
        insert_parents(path, staying);
      } else if (!moved_[i] && !covered(path, left_folders_)) {
        insert_parents(path, leaving);
        rest.push_back(i);
      }
    }
    for (uint32_t i = 0; i < base_.folders.size(); ++i) {
      const std::string_view folder = base_.folders[i];
      if (staying.contains(folder) || !leaving.contains(folder) || covered(folder, left_folders_))
        continue;
      out_.program.removed_folders.push_back(i);
      left_folders_.emplace(folder);
    }
    for (const uint32_t i : rest)
      if (!covered(base_.files[i]->first, left_folders_)) out_.program.removed_files.push_back(i);
  }

  void sort_by_source() {
    for (auto* placed : {&out_.program.moved_folders, &out_.program.copied_folders,
                         &out_.program.moved_files, &out_.program.copied_files})
      std::ranges::sort(*placed, {}, [](const Program::Placed& one) {
        return std::pair(one.from, std::string_view(one.to));
      });
    std::ranges::sort(out_.program.same, {}, [](const Program::Same& one) {
      return std::pair(one.content, std::string_view(one.path));
    });
  }

  const model::Tree* const base_tree_;
  const BaseIndex& base_;
  const model::Tree& target_;
  TreeDiff out_;

  std::unordered_map<Hash, Places, HashOfHash> by_hash_;
  std::unordered_map<std::string_view, uint32_t> place_of_;
  std::unordered_map<std::string_view, Places> gone_by_name_;

  FolderSet placed_;         // folders of the target that are moves or copies
  FolderSet left_folders_;   // folders of the base that were moved away or removed
  std::vector<bool> moved_;  // files of the base
  std::vector<bool> stays_;

  std::unordered_map<Hash, Fresh, HashOfHash> fresh_;
  std::vector<std::pair<Hash, std::string>> twins_;
  std::vector<std::pair<std::string, model::FileEntry>> added_;
  std::vector<std::pair<Program::AddedLike, Hash>> like_;
  std::vector<Hash> modified_hashes_, added_hashes_;
};

}  // namespace

TreeDiff diff_trees(const model::Tree* base_tree, const BaseIndex& base,
                    const model::Tree& target) {
  return Differ(base_tree, base, target).run();
}

}  // namespace notp::delta
