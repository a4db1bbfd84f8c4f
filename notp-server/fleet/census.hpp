// Counts over all nodes of a fleet, for its metrics.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/messages.hpp"

namespace SQLite {
class Database;
}

namespace notp::fleet {

// Of several, the first that applies.
enum class NodeState : uint8_t {
  kDistrusting,  // it ended its session because of what this registry sent
  kAway,         // it has no session
  kRejected,     // its PDP refused a release
  kWaiting,      // it has reported nothing, or a release that is not active yet
  kActive,       // all that it reported is active
};
inline constexpr std::array<std::string_view, 5> kNodeStateNames = {
    "distrusting", "away", "rejected", "waiting", "active"};

struct Census {
  // By NodeState.
  std::array<uint64_t, kNodeStateNames.size()> nodes{};
  // For each ledger the nodes that have a version of it active.
  std::map<model::LedgerId, std::map<uint64_t, uint64_t>> active;
  // The oldest attestation of an active release, at nodes with a session and at those without; 0:
  // no release of theirs was ever attested.
  TimeMs connected_vouched_ms = 0, away_vouched_ms = 0;

  void add(const wire::NodeRow& node, bool is_distrusting);
};

// Nodes by identity, after `after`, with their reports on the ledgers that they subscribe to, as
// far as a census needs them: identity, connected, and of each ledger state, active_version and
// vouched_ms. Throws SQLite::Exception.
std::vector<wire::NodeRow> census_page(SQLite::Database& database, const std::string& after,
                                       size_t nodes_max);

}  // namespace notp::fleet
