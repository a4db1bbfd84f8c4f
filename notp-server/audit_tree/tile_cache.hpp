// Tiles of the registry's tree in memory, with the hashes above theirs.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit_tree/tree_limits.hpp"
#include "notp-server/audit_tree/tree_store.hpp"

namespace notp::audit {

// The roots of all perfect subtrees within one tile.
class TileLevels {
 public:
  explicit TileLevels(std::vector<Hash> hashes);
  uint64_t width() const { return levels_.front().size(); }
  // The root over 2^height hashes from `offset` on, which are there; `offset` is a multiple of
  // their number.
  const Hash& root(uint32_t height, uint64_t offset) const {
    return levels_[height][offset >> height];
  }

 private:
  std::vector<std::vector<Hash>> levels_;  // by height; all that are whole
};

// Thread-safe. The least recently used go first.
class TileCache {
 public:
  using TilePtr = std::shared_ptr<const TileLevels>;
  // Returns the tile, which has at least `width` hashes. kCorrupt: the store has fewer.
  Result<TilePtr> get(const TreeStore& store, uint32_t level, uint64_t index, uint64_t width);

 private:
  using Key = std::pair<uint32_t, uint64_t>;
  TilePtr find(const Key& key, uint64_t width);
  void put(const Key& key, TilePtr tile);

  Mutex mutex_;
  std::list<std::pair<Key, TilePtr>> tiles_ NOTP_GUARDED_BY(mutex_);  // newest first
  std::map<Key, std::list<std::pair<Key, TilePtr>>::iterator> places_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::audit
