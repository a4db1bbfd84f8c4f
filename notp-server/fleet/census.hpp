// Counts over all nodes of a fleet, for its metrics and for those who watch it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
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

// The nodes that have reported on a ledger and still want it. It does not say which release is the
// head: that may change before the nodes are counted again.
struct LedgerCensus {
  struct Stand {
    uint64_t current = 0, older = 0, rejected = 0;  // as in wire::LedgerStatus
  };

  uint64_t nodes = 0, away = 0;
  std::map<uint64_t, uint64_t> active;  // by version
  // With a session: by the active version, 0 for none; those whose last report is a rejection, by
  // the rejected version and the active one.
  std::map<uint64_t, uint64_t> connected;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> rejected;

  void add(const wire::NodeLedger& ledger, bool is_connected);
  // Of those with a session.
  Stand stand(uint64_t head) const;
};

struct Census {
  // By NodeState.
  std::array<uint64_t, kNodeStateNames.size()> nodes{};
  uint64_t connected = 0;
  uint64_t stale = 0;  // connected, and by its own report a release is stale or expired
  std::map<model::LedgerId, LedgerCensus> ledgers;
  // The oldest attestation of an active release, at nodes with a session and at those without; 0:
  // no release of theirs was ever attested.
  TimeMs connected_vouched_ms = 0, away_vouched_ms = 0;

  void add(const wire::NodeRow& node, bool is_distrusting);
};

// Nodes by identity, after `after`, with their reports on the ledgers that they subscribe to, as
// far as a census needs them: identity, connected, and of each ledger version, state,
// active_version, freshness and vouched_ms. Throws SQLite::Exception.
std::vector<wire::NodeRow> census_page(SQLite::Database& database, const std::string& after,
                                       size_t nodes_max);

}  // namespace notp::fleet
