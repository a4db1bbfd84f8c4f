#include "notp-server/fleet/census.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>

namespace notp::fleet {
namespace {

// A report on a ledger that the node no longer wants says nothing about it any more.
constexpr const char* kPage =
    "SELECT n.identity, n.connected, l.zone, l.ledger, l.state, l.active_version, l.vouched_ms "
    "FROM (SELECT identity, connected FROM nodes WHERE identity > ?1 ORDER BY identity LIMIT ?2) n "
    "LEFT JOIN subscriptions s ON s.identity = n.identity "
    "LEFT JOIN node_ledgers l ON l.identity = s.identity AND l.zone = s.zone AND l.ledger = "
    "s.ledger ORDER BY n.identity";

NodeState state_of(const wire::NodeRow& node, bool is_distrusting) {
  if (is_distrusting) return NodeState::kDistrusting;
  if (!node.connected) return NodeState::kAway;
  const auto has = [&](wire::CommitState state) {
    return std::ranges::find(node.ledgers, state, &wire::NodeLedger::state) != node.ledgers.end();
  };
  if (has(wire::CommitState::kRejected)) return NodeState::kRejected;
  const bool waits = node.ledgers.empty() || has(wire::CommitState::kStored);
  return waits ? NodeState::kWaiting : NodeState::kActive;
}

}  // namespace

void Census::add(const wire::NodeRow& node, bool is_distrusting) {
  ++nodes[static_cast<size_t>(state_of(node, is_distrusting))];
  TimeMs& oldest_ms = node.connected ? connected_vouched_ms : away_vouched_ms;
  for (const wire::NodeLedger& ledger : node.ledgers) {
    if (ledger.active_version == 0) continue;
    ++active[ledger.ledger][ledger.active_version];
    if (ledger.vouched_ms != 0 && (oldest_ms == 0 || ledger.vouched_ms < oldest_ms))
      oldest_ms = ledger.vouched_ms;
  }
}

std::vector<wire::NodeRow> census_page(SQLite::Database& database, const std::string& after,
                                       size_t nodes_max) {
  SQLite::Statement row(database, kPage);
  row.bind(1, after);
  row.bind(2, static_cast<int64_t>(nodes_max));
  std::vector<wire::NodeRow> out;
  while (row.executeStep()) {
    std::string identity = row.getColumn(0).getString();
    if (out.empty() || out.back().identity != identity) {
      wire::NodeRow& node = out.emplace_back();
      node.identity = std::move(identity);
      node.connected = row.getColumn(1).getInt() != 0;
    }
    if (row.getColumn(2).isNull()) continue;
    wire::NodeLedger& ledger = out.back().ledgers.emplace_back();
    ledger.ledger = {static_cast<uint64_t>(row.getColumn(2).getInt64()), row.getColumn(3)};
    ledger.state = static_cast<wire::CommitState>(row.getColumn(4).getInt());
    ledger.active_version = static_cast<uint64_t>(row.getColumn(5).getInt64());
    ledger.vouched_ms = row.getColumn(6).getInt64();
  }
  return out;
}

}  // namespace notp::fleet
