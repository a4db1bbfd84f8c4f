// What a PDP should decide with: one release of each ledger, and how fresh it is. Pure.
#pragma once

#include <cstdint>
#include <map>

#include "common/crypto/digest.hpp"
#include "notp-client/agent/core/selection.hpp"
#include "protocol/trust/age.hpp"

namespace notp {

// Where the standing denies, the PDP has the release's data roots, and neither its policies nor its
// data.
struct DesiredRelease {
  uint64_t version = 0;
  Hash release_hash;
  FreshnessStatus freshness_status;
};
using DesiredState = std::map<LedgerId, DesiredRelease>;

using Versions = std::map<LedgerId, uint64_t>;

// Whether a PDP that was given `reported` needs no activation to decide with `desired`: the same
// releases, and needs_reactivation() for none of them.
bool same_desired_state(const DesiredState& reported, const DesiredState& desired);

Picks picks_of(const DesiredState& state);

}  // namespace notp
