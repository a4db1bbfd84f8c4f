// Chooses the base of an artifact for a peer that does not hold a whole release.
// protocol/session/README.md, "Unknown base" and "Repair".
#pragma once

#include <optional>
#include <span>

#include "protocol/session/server/server_events.hpp"

namespace notp::session {

struct ArtifactBase {
  Hash id;  // for artifact_id(): of the release, or the content root of a part; zero: no base
  model::TreePtr tree;  // null: full content
  // Set when the tree is a part of what the peer holds; its envelope is not a reference then.
  std::optional<wire::PartialBase> partial;
};

// `base` is the tree of the release that `need` names, null when it names none, and `base_hash` is
// the hash of that release. `own` are the registry's trees, best first, to match an inventory with.
// nullopt: the inventory is a sketch that cannot be read.
Result<std::optional<ArtifactBase>> artifact_base(const server_event::ArtifactNeeded& need,
                                                  const Hash& base_hash, const model::TreePtr& base,
                                                  std::span<const delta::LeafIndexPtr> own);

}  // namespace notp::session
