// Releases that a person lets go although the replay gate of a node holds them.
#include <SQLiteCpp/VariadicBind.h>
#include <fmt/format.h>

#include "common/storage/sqlite.hpp"
#include "notp-server/fleet/fleet.hpp"

namespace notp::fleet {
namespace {

bool is_held(const wire::Commit& report) {
  return report.state == wire::CommitState::kRejected &&
         error_code_from_wire(report.code) == ErrorCode::kGateHeld;
}

// The last report of a node on a ledger, as far as it matters here.
std::optional<wire::Commit> last_report(SQLite::Database& database, const std::string& identity,
                                        const model::LedgerId& ledger) {
  SQLite::Statement row(database,
                        "SELECT version, state, code FROM node_ledgers "
                        "WHERE identity = ? AND zone = ? AND ledger = ?");
  SQLite::bind(row, identity, static_cast<int64_t>(ledger.zone), ledger.name);
  if (!row.executeStep()) return std::nullopt;
  wire::Commit report;
  report.version = static_cast<uint64_t>(row.getColumn(0).getInt64());
  report.state = static_cast<wire::CommitState>(row.getColumn(1).getInt());
  report.code = row.getColumn(2).getUInt();
  return report;
}

std::unexpected<Error> not_held(const std::string& identity, const model::LedgerId& ledger,
                                uint64_t version, const std::optional<wire::Commit>& report) {
  std::string is = "it has reported nothing about this ledger";
  if (report)
    is = fmt::format("its last report is {} v{}{}", wire::commit_state_name(report->state),
                     report->version, is_held(*report) ? ", which its gate holds" : "");
  return fail(ErrorCode::kNotFound,
              fmt::format("no gate holds {} v{} at {}: {}", ledger.text(), version, identity, is));
}

}  // namespace

ReleasedVersions ReleasedVersions::read(SQLite::Database& database) {
  SQLite::Statement row(database,
                        "SELECT identity, zone, ledger, released_version FROM node_ledgers "
                        "WHERE released_version <> 0");
  ReleasedVersions out;
  while (row.executeStep())
    out.add(row.getColumn(0),
            {static_cast<uint64_t>(row.getColumn(1).getInt64()), row.getColumn(2)},
            static_cast<uint64_t>(row.getColumn(3).getInt64()));
  return out;
}

bool ReleasedVersions::are_held(const std::string& node, const wire::Commit& report) const {
  const auto found = versions_.find({node, report.ledger});
  return is_held(report) && found != versions_.end() && found->second == report.version;
}

void ReleasedVersions::see(const std::string& node, const wire::Commit& report) {
  if (report.state != wire::CommitState::kActive) return;
  const auto found = versions_.find({node, report.ledger});
  if (found != versions_.end() && report.version >= found->second) versions_.erase(found);
}

Result<void> Fleet::release_held(const std::string& identity, const model::LedgerId& ledger,
                                 uint64_t version) {
  std::optional<wire::Commit> report;
  bool holds = false;
  NOTP_TRY(after_flush([&](SQLite::Database& database) {
    report = last_report(database, identity, ledger);
    holds = report && is_held(*report) && report->version == version;
    if (!holds) return;
    SQLite::Statement keep(database,
                           "UPDATE node_ledgers SET released_version = ? "
                           "WHERE identity = ? AND zone = ? AND ledger = ?");
    SQLite::bind(keep, static_cast<int64_t>(version), identity, static_cast<int64_t>(ledger.zone),
                 ledger.name);
    keep.exec();
    const MutexLock lock(mutex_);
    exceptions_.released.add(identity, ledger, version);
  }));
  if (!holds) return not_held(identity, ledger, version, report);
  return {};
}

bool Fleet::is_released(const std::string& identity, const wire::Commit& report) {
  const MutexLock lock(mutex_);
  return exceptions_.released.are_held(identity, report);
}

}  // namespace notp::fleet
