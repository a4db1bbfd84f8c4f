#include "notp-client/agent/core/desired_state.hpp"

#include <algorithm>

namespace notp::agent {

bool same_desired_state(const DesiredState& reported, const DesiredState& desired) {
  return std::ranges::equal(reported, desired, [](const auto& was, const auto& is) {
    return was.first == is.first && was.second.release_hash == is.second.release_hash &&
           !trust::needs_reactivation(was.second.freshness_status, is.second.freshness_status);
  });
}

Picks picks_of(const DesiredState& state) {
  Picks picks;
  for (const auto& [ledger, release] : state)
    picks[ledger] = {release.version, release.freshness_status.withheld};
  return picks;
}

}  // namespace notp::agent
