#include "notp-server/fleet/census.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>

namespace notp::fleet {
namespace {

// A report on a ledger that the node no longer wants says nothing about it any more.
constexpr const char* kPage =
    "SELECT n.identity, n.connected, l.zone, l.ledger, l.version, l.state, l.active_version, "
    "l.freshness, l.vouched_ms "
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

bool is_stale(const wire::NodeRow& node) {
  return std::ranges::any_of(node.ledgers, [](const wire::NodeLedger& ledger) {
    return ledger.active_version != 0 && ledger.freshness >= trust::FreshnessState::kStale;
  });
}

}  // namespace

void LedgerCensus::add(const wire::NodeLedger& ledger, bool is_connected) {
  ++nodes;
  if (ledger.active_version != 0) ++active[ledger.active_version];
  if (!is_connected)
    ++away;
  else if (ledger.state == wire::CommitState::kRejected)
    ++rejected[{ledger.version, ledger.active_version}];
  else
    ++connected[ledger.active_version];
}

// A node that has rejected something else may still decide with the head.
LedgerCensus::Stand LedgerCensus::stand(uint64_t head) const {
  Stand out;
  const auto count = [&](uint64_t version, uint64_t count) {
    (version == head && head != 0 ? out.current : out.older) += count;
  };
  for (const auto& [version, here] : connected) count(version, here);
  for (const auto& [versions, here] : rejected)
    if (versions.first == head)
      out.rejected += here;
    else
      count(versions.second, here);
  return out;
}

void Census::add(const wire::NodeRow& node, bool is_distrusting) {
  ++nodes[static_cast<size_t>(state_of(node, is_distrusting))];
  if (node.connected) {
    ++connected;
    if (is_stale(node)) ++stale;
  }
  TimeMs& oldest_ms = node.connected ? connected_vouched_ms : away_vouched_ms;
  for (const wire::NodeLedger& ledger : node.ledgers) {
    ledgers[ledger.ledger].add(ledger, node.connected);
    if (ledger.active_version == 0) continue;
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
    ledger.version = static_cast<uint64_t>(row.getColumn(4).getInt64());
    ledger.state = static_cast<wire::CommitState>(row.getColumn(5).getInt());
    ledger.active_version = static_cast<uint64_t>(row.getColumn(6).getInt64());
    ledger.freshness = static_cast<trust::FreshnessState>(row.getColumn(7).getInt());
    ledger.vouched_ms = row.getColumn(8).getInt64();
  }
  return out;
}

}  // namespace notp::fleet
