#include "notp-server/audit_tree/tile_cache.hpp"

#include <fmt/format.h>

#include <utility>

#include "protocol/record/tree.hpp"

namespace notp::audit {

TileLevels::TileLevels(std::vector<Hash> hashes) {
  levels_.push_back(std::move(hashes));
  while (levels_.back().size() > 1) {
    const std::vector<Hash>& below = levels_.back();
    std::vector<Hash> above;
    above.reserve(below.size() / 2);
    for (size_t i = 0; i + 1 < below.size(); i += 2)
      above.push_back(record::node_hash(below[i], below[i + 1]));
    levels_.push_back(std::move(above));
  }
}

Result<TileCache::TilePtr> TileCache::get(const TreeStore& store, uint32_t level, uint64_t index,
                                          uint64_t width) {
  const Key key{level, index};
  if (TilePtr known = find(key, width)) return known;
  NOTP_ASSIGN(Tile read, store.tile(level, index));
  if (read.hashes.size() < width)
    return fail(ErrorCode::kCorrupt,
                fmt::format("tile {} of level {} of the registry's tree has {} hashes, not {}",
                            index, level, read.hashes.size(), width));
  TilePtr tile = std::make_shared<const TileLevels>(std::move(read.hashes));
  put(key, tile);
  return tile;
}

TileCache::TilePtr TileCache::find(const Key& key, uint64_t width) {
  const MutexLock lock(mutex_);
  const auto at = places_.find(key);
  if (at == places_.end() || at->second->second->width() < width) return nullptr;
  tiles_.splice(tiles_.begin(), tiles_, at->second);
  return tiles_.front().second;
}

// Of two readers at once, the one that read earlier may come last.
void TileCache::put(const Key& key, TilePtr tile) {
  const MutexLock lock(mutex_);
  if (const auto at = places_.find(key); at != places_.end()) {
    if (at->second->second->width() < tile->width()) at->second->second = std::move(tile);
    return;
  }
  tiles_.emplace_front(key, std::move(tile));
  places_[key] = tiles_.begin();
  if (tiles_.size() <= limits::kTilesCachedMax) return;
  places_.erase(tiles_.back().first);
  tiles_.pop_back();
}

}  // namespace notp::audit
