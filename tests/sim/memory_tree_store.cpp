#include "tests/sim/memory_tree_store.hpp"

#include <algorithm>
#include <ranges>

namespace notp::sim {

using audit::LogLeaf;
using audit::SealedCheckpoint;

Result<void> MemoryTreeStore::append(const audit::TreeGrowth& growth) {
  image_.entries.insert(image_.entries.end(), growth.entries.begin(), growth.entries.end());
  for (const audit::Tile& tile : growth.tiles) image_.tiles[{tile.level, tile.index}] = tile;
  image_.checkpoints[growth.checkpoint.size] = growth.checkpoint;
  for (const LogLeaf& leaf : growth.logs)
    if (!*leaf_of(leaf.log, leaf.size)) image_.leaves.push_back(leaf);
  return {};
}

Result<void> MemoryTreeStore::put_note(const SealedCheckpoint& checkpoint) {
  const auto at = image_.checkpoints.find(checkpoint.size);
  if (at != image_.checkpoints.end()) at->second = checkpoint;
  return {};
}

Result<audit::Tile> MemoryTreeStore::tile(uint32_t level, uint64_t index) const {
  const auto at = image_.tiles.find({level, index});
  if (at == image_.tiles.end()) return fail(ErrorCode::kCorrupt, "there is no such tile");
  return at->second;
}

Result<std::vector<Bytes>> MemoryTreeStore::entries(uint64_t first, uint64_t end, size_t) const {
  end = std::min<uint64_t>(end, image_.entries.size());
  std::vector<Bytes> out;
  for (uint64_t index = first; index < end; ++index) out.push_back(image_.entries[index]);
  return out;
}

Result<std::optional<SealedCheckpoint>> MemoryTreeStore::newest() const {
  if (image_.checkpoints.empty()) return std::nullopt;
  return image_.checkpoints.rbegin()->second;
}

Result<std::optional<SealedCheckpoint>> MemoryTreeStore::newest_cosigned() const {
  for (const auto& [size, each] : std::views::reverse(image_.checkpoints))
    if (each.cosignatures > 0) return each;
  return std::nullopt;
}

Result<std::optional<SealedCheckpoint>> MemoryTreeStore::checkpoint(uint64_t size) const {
  const auto at = image_.checkpoints.find(size);
  if (at == image_.checkpoints.end()) return std::nullopt;
  return at->second;
}

Result<std::optional<SealedCheckpoint>> MemoryTreeStore::first_above(uint64_t size) const {
  const auto at = image_.checkpoints.upper_bound(size);
  if (at == image_.checkpoints.end()) return std::nullopt;
  return at->second;
}

Result<std::optional<LogLeaf>> MemoryTreeStore::leaf_of(const record::LogId& log,
                                                        uint64_t size) const {
  const auto at = std::ranges::find_if(
      image_.leaves, [&](const LogLeaf& leaf) { return leaf.log == log && leaf.size == size; });
  if (at == image_.leaves.end()) return std::nullopt;
  return *at;
}

Result<std::vector<LogLeaf>> MemoryTreeStore::newest_leaves() const {
  std::map<record::LogId, LogLeaf> newest;
  for (const LogLeaf& leaf : image_.leaves) {
    const auto [at, is_new] = newest.try_emplace(leaf.log, leaf);
    if (!is_new && leaf.size > at->second.size) at->second = leaf;
  }
  std::vector<LogLeaf> out;
  for (const auto& [log, leaf] : newest) out.push_back(leaf);
  return out;
}

}  // namespace notp::sim
