// Checks for every answer to an inventory, and the files of trees without their content.
#pragma once

#include <algorithm>
#include <string>

#include "protocol/delta/inventory.hpp"

namespace notp::samples {

// Reads leaves of 8 bytes each; ignores an incomplete last one.
inline std::vector<uint64_t> leaves_in(ByteView list) {
  std::vector<uint64_t> out;
  for (; list.size() >= 8; list.remove_prefix(8)) {
    uint64_t leaf = 0;
    for (const char byte : list.substr(0, 8)) leaf = leaf << 8 | static_cast<unsigned char>(byte);
    out.push_back(leaf);
  }
  return out;
}

inline Bytes list_of(const std::vector<uint64_t>& leaves) {
  Bytes out;
  for (const uint64_t leaf : leaves)
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(leaf >> shift));
  return out;
}

// Sketches any size; take_inventory does so only for large ones.
inline delta::Inventory sketched(const delta::LeafIndex& held) {
  delta::LeafSketch sketch;
  for (const delta::LeafIndex::Held& each : held.held()) sketch.add(each.leaf);
  return {held.held().size(), {}, sketch.encode()};
}

// Describes what is wrong with an answer to any inventory; "" when it is right.
inline std::string flaw_of(const delta::CommonBase& common, const delta::Inventory& inventory,
                           const std::vector<model::TreePtr>& candidates) {
  std::vector<uint64_t> all = leaves_in(common.excluded_leaves);
  if (all.size() * 8 != common.excluded_leaves.size()) return "leaves that are cut short";
  if (std::ranges::adjacent_find(all, std::greater_equal<>()) != all.end())
    return "leaves out of order";
  for (const auto& [path, entry] : common.tree->files()) {
    const auto has_it = [&](const model::TreePtr& tree) {
      const model::FileEntry* found = tree->find(path);
      return found != nullptr && *found == entry;
    };
    if (std::ranges::none_of(candidates, has_it)) return "a file of no candidate: " + path;
    all.push_back(delta::leaf_of(path, entry.hash));
  }
  if (all.size() != inventory.files) return "more leaves than the inventory has, or less";
  std::ranges::sort(all);
  if (inventory.sketch.empty() && list_of(all) != inventory.list)
    return "other leaves than the inventory has";
  const auto remade = model::Tree::make(common.tree->files());
  if (!remade || remade->content_root() != common.tree->content_root())
    return "a tree that no model has";
  return "";
}

}  // namespace notp::samples
