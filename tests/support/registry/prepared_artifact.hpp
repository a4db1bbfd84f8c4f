// The answer of a registry's host to its session, for tests of sessions only.
#pragma once

#include <memory>

#include "protocol/delta/artifact.hpp"
#include "protocol/session/server/server_session.hpp"

namespace notp {

// Bytes that are not an artifact, under the id of a real one between two releases of `catalog`.
inline session::PreparedArtifact prepared_artifact(
    const session::Catalog& catalog, const session::server_event::ArtifactNeeded& need,
    Bytes bytes) {
  const auto base = catalog.release(need.ledger, need.base_version);
  const auto target = catalog.release(need.ledger, need.version);
  return {.id = delta::artifact_id(base ? base->release_hash : Hash{},
                                   target ? target->release_hash : need.pending_hash),
          .encoding_tier = 0,
          .bytes = std::make_shared<const Bytes>(std::move(bytes)),
          .partial = {}};
}

}  // namespace notp
