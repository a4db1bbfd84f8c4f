// The state that a PDP should decide with: one release of each ledger, and its freshness. Pure.
#pragma once

#include <cstdint>
#include <map>

#include "common/crypto/digest.hpp"
#include "notp-client/agent/core/selection.hpp"
#include "protocol/trust/age.hpp"

namespace notp::agent {

// If the freshness status denies, the PDP receives the release's data roots, but neither its
// policies nor its data.
struct DesiredRelease {
  uint64_t version = 0;
  Hash release_hash;
  trust::FreshnessStatus freshness_status;
};
using DesiredState = std::map<model::LedgerId, DesiredRelease>;

using Versions = std::map<model::LedgerId, uint64_t>;

// Whether a PDP that was given `reported` needs no activation to decide with `desired`: the
// releases are the same, and needs_reactivation() holds for none of them.
bool same_desired_state(const DesiredState& reported, const DesiredState& desired);

Picks picks_of(const DesiredState& state);

}  // namespace notp::agent
