// Which releases have to pass the replay gate of their manifest before a PDP decides with them.
// Pure.
#pragma once

#include "notp-client/agent/core/local_releases.hpp"

namespace notp::agent {

struct GateView {
  const LocalReleases& releases;
  const DesiredState* in_flight = nullptr;  // with the PDP; null: nothing is
};

// The release of the ledger that `candidate` would replace: what the PDP decides with; before it
// decides with any, what it was given, or what it decided with in an earlier process. nullptr:
// there is none, or it gives no decisions any more because it is withdrawn, expired or withheld.
const store::StoredRelease* replaced_by(const GateView& view,
                                        const store::StoredRelease& candidate);

// Whether the gate stands between the node and this release. Never before
// - one without a gate, one that was released here, and one that was decided with before;
// - one that replaces nothing, or something newer: a way back is always open.
bool must_pass_gate(const GateView& view, const store::StoredRelease& candidate);

}  // namespace notp::agent
