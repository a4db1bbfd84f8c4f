// The registry's tree: an append-only Merkle tree over record::TreeEntry, whose checkpoints the
// registry signs. It knows neither threads nor files.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit_tree/tile_cache.hpp"
#include "notp-server/audit_tree/tree_store.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/record/tree_entry.hpp"

namespace notp::audit {

// append() and cosigned() belong to one thread; all others may be called by any. Blocks on the
// store.
class TreeLog {
 public:
  // `store` outlives it. The key is that of `origin` (record::log_origin). kCorrupt: what is stored
  // is not a tree of this key; kIo.
  static Result<std::unique_ptr<TreeLog>> open(TreeStore& store, std::string origin,
                                               PrivateKey key);

  const std::string& origin() const { return origin_; }
  const PublicKey& public_key() const { return public_key_; }
  record::LogId id() const { return record::LogId::of(public_key_); }

  // Appends leaves and seals them with a checkpoint, all or nothing; there is one at least. After
  // an error the tree is as before, and the same call may be repeated.
  Result<SealedCheckpoint> append(const std::vector<record::TreeEntry>& entries, TimeMs now_ms);
  // Adds a cosignature of `key` to a checkpoint. False: it is not kept any more, or has as many as
  // it can hold. kSignature: it is none.
  Result<bool> cosigned(uint64_t size, const record::Cosignature& cosignature,
                        const PublicKey& key);

  // The newest checkpoint; of size 0: nothing is sealed yet.
  SealedCheckpoint newest() const;
  uint64_t size() const { return newest().size; }
  // The newest checkpoint that has cosignatures and leaf `index`, else the newest of all.
  Result<SealedCheckpoint> best_for(uint64_t index) const;
  // Wall time since which leaves are without a cosigned checkpoint above them; 0: none are.
  TimeMs unwitnessed_since_ms() const;

  // The hash of a sealed leaf.
  Result<Hash> leaf_hash(uint64_t index) const { return subtree(index, 1); }
  // Proofs in the tree of `size` leaves, at most size(); index < size, old_size <= size.
  Result<std::vector<Hash>> inclusion(uint64_t index, uint64_t size) const;
  Result<std::vector<Hash>> consistency(uint64_t old_size, uint64_t size) const;
  // Sealed entries, as TreeStore::entries() gives them.
  Result<std::vector<Bytes>> entries(uint64_t first, uint64_t end, size_t bytes_max) const {
    return store_.entries(first, end, bytes_max);
  }
  // The sealed leaf of a node's checkpoint.
  Result<std::optional<LogLeaf>> leaf_of(const record::LogId& log, uint64_t size) const {
    return store_.leaf_of(log, size);
  }
  // The one with the largest size; from memory.
  std::optional<LogLeaf> newest_leaf_of(const record::LogId& log) const;

 private:
  TreeLog(TreeStore& store, std::string origin, PrivateKey key);
  Result<void> load();
  Result<void> load_edge(uint64_t size);
  Result<Hash> subtree(uint64_t first, uint64_t leaves) const;
  record::SubtreeSource source() const;

  TreeStore& store_;
  const std::string origin_;
  const PrivateKey key_;
  const PublicKey public_key_;

  // Of the thread that appends: the right edge of the tree.
  struct Edge {
    record::Frontier frontier;
    std::vector<Tile> tiles;  // by level, the ones that are not full
  };
  Edge edge_;

  mutable TileCache cache_;
  mutable Mutex mutex_;
  SealedCheckpoint newest_ NOTP_GUARDED_BY(mutex_);
  TimeMs unwitnessed_since_ms_ NOTP_GUARDED_BY(mutex_) = 0;
  uint64_t witnessed_size_ NOTP_GUARDED_BY(mutex_) = 0;  // of the newest cosigned checkpoint
  std::map<record::LogId, LogLeaf> leaves_ NOTP_GUARDED_BY(mutex_);  // the newest of each log
};

}  // namespace notp::audit
