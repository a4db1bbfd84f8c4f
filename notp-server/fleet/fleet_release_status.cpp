// How far a release has come.
#include <SQLiteCpp/VariadicBind.h>

#include "common/storage/sqlite.hpp"
#include "notp-server/fleet/fleet.hpp"

namespace notp::fleet {
namespace {

// ?1 zone, ?2 ledger, ?3 version; ?4: who was seen since may come back.
constexpr const char* kCounts =
    "SELECT count(*), coalesce(sum(n.connected), 0), "
    "coalesce(sum(n.connected AND coalesce(l.active_version, 0) >= ?3), 0), "
    "coalesce(sum(NOT n.connected AND coalesce(l.active_version, 0) < ?3 AND n.seen_ms > ?4), 0) "
    "FROM subscriptions s JOIN nodes n ON n.identity = s.identity "
    "LEFT JOIN node_ledgers l ON l.identity = s.identity AND l.zone = s.zone AND l.ledger = "
    "s.ledger WHERE s.zone = ?1 AND s.ledger = ?2";

// Since its start a registry has heard only those that have come back.
TimeMs seen_since(TimeMs started_ms, TimeMs now_ms) {
  const TimeMs since_ms = now_ms - Fleet::kReconnectMs;
  return started_ms > since_ms ? INT64_MIN : since_ms;
}

}  // namespace

Result<wire::ReleaseStatus> Fleet::release_status(const model::LedgerId& ledger, uint64_t version,
                                                  TimeMs started_ms, TimeMs now_ms) {
  wire::ReleaseStatus out;
  NOTP_TRY(after_flush([&](SQLite::Database& database) {
    SQLite::Statement row(database, kCounts);
    SQLite::bind(row, static_cast<int64_t>(ledger.zone), ledger.name, static_cast<int64_t>(version),
                 seen_since(started_ms, now_ms));
    if (!row.executeStep()) return;
    const auto count = [&](int column) {
      return static_cast<uint64_t>(row.getColumn(column).getInt64());
    };
    out = {count(0), count(1), count(2), count(3)};
  }));
  return out;
}

}  // namespace notp::fleet
