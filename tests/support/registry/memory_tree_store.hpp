// The registry's tree in memory, for tests and simulations. A copy of an image is a backup.
#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "notp-server/audit_tree/tree_limits.hpp"
#include "notp-server/audit_tree/tree_store.hpp"

namespace notp::audit {

// One thread. What append() has taken is durable.
class MemoryTreeStore : public TreeStore {
 public:
  struct Image {
    std::vector<Bytes> entries;
    std::map<std::pair<uint32_t, uint64_t>, Tile> tiles;
    std::map<uint64_t, SealedCheckpoint> checkpoints;
    std::map<std::pair<record::LogId, uint64_t>, LogLeaf> leaves;
  };

  Result<void> append(const TreeGrowth& growth) override {
    if (fails) return fail(ErrorCode::kIo, "the disk takes no writes");
    std::ranges::copy(growth.entries, std::back_inserter(image.entries));
    for (const Tile& tile : growth.tiles) image.tiles[{tile.level, tile.index}] = tile;
    for (const LogLeaf& leaf : growth.logs) image.leaves.try_emplace({leaf.log, leaf.size}, leaf);
    image.checkpoints[growth.checkpoint.size] = growth.checkpoint;
    const auto cosigned = *newest_cosigned();
    while (image.checkpoints.size() > limits::kTreeCheckpointsMax) {
      auto oldest = image.checkpoints.begin();
      if (cosigned && oldest->first == cosigned->size) ++oldest;
      image.checkpoints.erase(oldest);
    }
    return {};
  }
  Result<void> put_note(const SealedCheckpoint& checkpoint) override {
    if (const auto at = image.checkpoints.find(checkpoint.size); at != image.checkpoints.end())
      at->second = checkpoint;
    return {};
  }
  Result<Tile> tile(uint32_t level, uint64_t index) const override {
    const auto at = image.tiles.find({level, index});
    if (at == image.tiles.end()) return fail(ErrorCode::kCorrupt, "no such tile");
    return at->second;
  }
  Result<std::vector<Bytes>> entries(uint64_t first, uint64_t end,
                                     size_t bytes_max) const override {
    std::vector<Bytes> out;
    for (size_t bytes = 0; first < std::min<uint64_t>(end, image.entries.size()); ++first) {
      bytes += image.entries[first].size();
      if (!out.empty() && bytes > bytes_max) break;
      out.push_back(image.entries[first]);
    }
    return out;
  }
  Result<std::optional<SealedCheckpoint>> newest() const override {
    return last_if([](const SealedCheckpoint&) { return true; });
  }
  Result<std::optional<SealedCheckpoint>> newest_cosigned() const override {
    return last_if([](const SealedCheckpoint& each) { return each.cosignatures > 0; });
  }
  Result<std::optional<SealedCheckpoint>> checkpoint(uint64_t size) const override {
    const auto at = image.checkpoints.find(size);
    return at == image.checkpoints.end() ? std::nullopt : std::optional(at->second);
  }
  Result<std::optional<SealedCheckpoint>> first_above(uint64_t size) const override {
    const auto at = image.checkpoints.upper_bound(size);
    return at == image.checkpoints.end() ? std::nullopt : std::optional(at->second);
  }
  Result<std::optional<LogLeaf>> leaf_of(const record::LogId& log, uint64_t size) const override {
    const auto at = image.leaves.find({log, size});
    return at == image.leaves.end() ? std::nullopt : std::optional(at->second);
  }
  Result<std::vector<LogLeaf>> newest_leaves() const override {
    std::map<record::LogId, LogLeaf> newest;
    for (const auto& [key, leaf] : image.leaves) newest[leaf.log] = leaf;
    std::vector<LogLeaf> out;
    for (const auto& [log, leaf] : newest) out.push_back(leaf);
    return out;
  }

  Image image;
  bool fails = false;

 private:
  template <typename Which>
  std::optional<SealedCheckpoint> last_if(Which which) const {
    for (auto at = image.checkpoints.rbegin(); at != image.checkpoints.rend(); ++at)
      if (which(at->second)) return at->second;
    return std::nullopt;
  }
};

}  // namespace notp::audit
