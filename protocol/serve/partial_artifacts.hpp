// Artifacts for nodes that do not hold a whole release: their base is the remainder of a release,
// or the files that they share with this registry. protocol/session/README.md, "Unknown base" and
// "Repair".
#pragma once

#include <list>
#include <optional>
#include <vector>

#include "common/mutex.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "protocol/serve/release_source.hpp"
#include "protocol/session/server/server_events.hpp"

namespace notp::serve {

// Thread-safe; blocks while it reads and encodes, so it belongs on the offload pool.
class PartialArtifacts {
 public:
  // Both references outlive it.
  PartialArtifacts(ReleaseSource& releases, ArtifactCache& artifacts)
      : releases_(releases), artifacts_(artifacts) {}

  // For a `need` with missing blobs or with an inventory. `base` is the release that it names; null
  // when it names none. nullopt: the inventory is a sketch that cannot be read. Nodes that hold the
  // same files get the same artifact.
  Result<std::optional<session::PreparedArtifact>> make(
      const session::server_event::ArtifactNeeded& need, const delta::HeldReleasePtr& base,
      const delta::HeldReleasePtr& target);

 private:
  // Returns the trees that the registry has in memory, the target first.
  std::vector<delta::LeafIndexPtr> indexes(const model::LedgerId& ledger,
                                           const delta::HeldReleasePtr& target);
  delta::LeafIndexPtr index_of(const model::TreePtr& tree);

  ReleaseSource& releases_;
  ArtifactCache& artifacts_;
  Mutex mutex_;
  std::list<delta::LeafIndexPtr> indexes_ NOTP_GUARDED_BY(mutex_);  // most recently used first
};

}  // namespace notp::serve
