// Artifacts for nodes that hold no release as a whole: their base is what they have left of one, or
// what they have in common with this registry. protocol/README.md, "Unknown base" and "Repair".
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "notp-server/artifacts/artifact_cache.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/session/server/artifact_base.hpp"

namespace notp {

// Thread-safe; blocks while it reads and encodes, so it belongs on the offload pool.
class PartialArtifacts {
 public:
  // Both outlive it.
  PartialArtifacts(Registry& registry, ArtifactCache& artifacts)
      : registry_(registry), artifacts_(artifacts) {}

  // For a `need` that lacks contents or comes with an inventory. `base` is the release that it
  // names, null when it names none. nullopt: the inventory is a sketch that cannot be read. Nodes
  // that hold the same are served with one artifact.
  Result<std::optional<PreparedArtifact>> make(const server_event::ArtifactNeeded& need,
                                               const SnapshotPtr& base, const SnapshotPtr& target);

 private:
  // What the registry has in memory, the target first.
  std::vector<LeafIndexPtr> indexes(const LedgerId& ledger, const SnapshotPtr& target);
  LeafIndexPtr index_of(const TreePtr& tree);

  Registry& registry_;
  ArtifactCache& artifacts_;
  std::mutex mutex_;
  std::list<LeafIndexPtr> indexes_;  // guarded by mutex_; most recently used first
};

}  // namespace notp
