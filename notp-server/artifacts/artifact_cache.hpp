// Artifacts, each computed once for all who need it.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "common/limits.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp {

// Immutable; a broadcast shares one.
struct Artifact {
  Hash id;  // artifact_id of the pair and the effort
  Bytes bytes;
  uint32_t effort = 0;
};
using ArtifactPtr = std::shared_ptr<const Artifact>;

// A byte budget of artifacts, the least recently used leaving first. A pair of releases that
// several callers ask for at once is encoded once, by the first; the others wait. Thread-safe;
// get() blocks while it encodes, so it belongs on the offload pool.
//
// Artifacts that publishers upload are not put in here: until decoded and compared with the signed
// content root they are a peer's bytes, and to encode again costs less than to trust.
class ArtifactCache {
 public:
  // An artifact above the budget is handed out and not kept.
  explicit ArtifactCache(size_t budget_bytes = limits::kArtifactCacheBytes)
      : budget_bytes_(budget_bytes) {}

  // `base` may be null: full content. Both snapshots are of one ledger. Errors of encode_artifact
  // go to everyone who waits, and are not kept.
  Result<ArtifactPtr> get(const SnapshotPtr& base, const SnapshotPtr& target);
  // The same for a base that is no release; its tree's content root stands for it,
  // and it has no envelope.
  Result<ArtifactPtr> get(const ReleaseContent& part, const SnapshotPtr& target);
  // The artifact if it is here. Does not block, and counts neither as hit nor as miss.
  ArtifactPtr peek(const SnapshotPtr& base, const SnapshotPtr& target) const;
  // The same by artifact_id().
  ArtifactPtr peek(const Hash& id) const;

  // Totals since the start. A caller that waits for another's encoding counts as joined.
  struct Counters {
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t joined = 0;
    uint64_t evicted = 0;
    size_t bytes = 0;  // kept now
    size_t artifacts = 0;
  };
  Counters counters() const;

 private:
  struct Flight {
    bool done = false;
    Result<ArtifactPtr> result;
  };
  using Order = std::list<ArtifactPtr>;

  Result<ArtifactPtr> get(const Hash& id, const std::function<Result<Bytes>()>& encode);
  void keep(const ArtifactPtr& artifact);

  const size_t budget_bytes_;

  mutable std::mutex mutex_;
  std::condition_variable landed_;
  // Guarded by mutex_.
  Order order_;  // most recently used first
  std::unordered_map<Hash, Order::iterator, HashOfHash> kept_;
  std::unordered_map<Hash, std::shared_ptr<Flight>, HashOfHash> flights_;
  Counters counters_;
};

}  // namespace notp
