#include "notp-client/agent/core/desired_state.hpp"

#include <algorithm>

namespace notp {

bool same_desired_state(const DesiredState& reported, const DesiredState& desired) {
  return std::ranges::equal(reported, desired, [](const auto& was, const auto& is) {
    return was.first == is.first && was.second.release_hash == is.second.release_hash &&
           !is_news(was.second.standing, is.second.standing);
  });
}

Picks picks_of(const DesiredState& state) {
  Picks picks;
  for (const auto& [ledger, release] : state)
    picks[ledger] = {release.version, release.standing.withheld};
  return picks;
}

}  // namespace notp
