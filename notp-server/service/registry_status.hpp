// What a registry does now, for those who watch it.
#pragma once

#include <cstdint>

#include "notp-server/fleet/fleet.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp::service {

// Since the start of the registry, except for the sessions, which are open now.
struct RegistryTotals {
  uint64_t sessions = 0;
  uint64_t publishes = 0;
  uint64_t offers = 0;
  uint64_t sent_bytes = 0;
  uint64_t records = 0;
};

// The answer to `query`, without started_ms. From memory: the nodes are those of the last census,
// which is behind by up to twice the time that a count takes (Measures), and the heads are those of
// now. Thread-safe. kUnavailable while the first census since the start is not done.
Result<wire::RegistryStatus> status_of(const registry::Registry& registry, fleet::Fleet& fleet,
                                       const RegistryTotals& totals,
                                       const wire::StatusRequest& query, TimeMs now_ms);

}  // namespace notp::service
