#include "notp-client/store/release_tables.hpp"

#include <fmt/format.h>

#include "common/log.hpp"
#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"

namespace notp::store {
namespace {

// The column `quarantined` is a set of marks: 0 and 1 are what earlier programs wrote.
constexpr uint32_t kQuarantined = 1, kHeld = 2, kReleased = 4, kHasGate = 8;

uint32_t marks_of(const StoredRelease& release) {
  return (release.quarantined ? kQuarantined : 0) | (release.held ? kHeld : 0) |
         (release.released ? kReleased : 0) | (release.has_gate ? kHasGate : 0);
}

Bytes release_check(int64_t install, const StoredRelease& release) {
  Bytes row;
  put_text(row, release.ref.ledger.text());
  for (uint64_t number : {static_cast<uint64_t>(install), release.ref.version, release.ref.epoch,
                          uint64_t{release.confirmed}, uint64_t{marks_of(release)},
                          static_cast<uint64_t>(release.stored_ms)})
    put_varint(row, number);
  row.append(release.ref.release_hash.view()).append(release.ref.content_root.view());
  put_text(row, release.envelope);
  put_text(row, release.error);
  return checksum("releases", row);
}

}  // namespace

const char* ReleaseTables::schema() {
  return R"sql(
    CREATE TABLE releases(
      install INTEGER PRIMARY KEY AUTOINCREMENT, ledger INTEGER NOT NULL REFERENCES ledgers(id),
      version INTEGER NOT NULL, epoch INTEGER NOT NULL, release BLOB NOT NULL,
      content_root BLOB NOT NULL, envelope BLOB NOT NULL, confirmed INTEGER NOT NULL,
      quarantined INTEGER NOT NULL, error BLOB NOT NULL, stored_ms INTEGER NOT NULL,
      checksum BLOB NOT NULL, UNIQUE(ledger, version));
  )sql";
}

std::vector<ReleaseRow> ReleaseTables::read(int64_t ledger_row, const model::LedgerId& ledger) {
  SQLite::Statement query(
      database_,
      "SELECT install, version, epoch, release, content_root, envelope, confirmed, quarantined, "
      "error, "
      "stored_ms, checksum FROM releases WHERE ledger = ? ORDER BY install DESC");
  query.bind(1, ledger_row);
  std::vector<ReleaseRow> rows;
  while (query.executeStep()) {
    ReleaseRow row;
    row.install = query.getColumn(0).getInt64();
    const uint32_t marks = query.getColumn(7).getUInt();
    row.release = {.ref = {.ledger = ledger,
                           .epoch = number(query.getColumn(2)),
                           .version = number(query.getColumn(1)),
                           .release_hash = hash_column(query.getColumn(3)),
                           .content_root = hash_column(query.getColumn(4))},
                   .envelope = view(query.getColumn(5)),
                   .confirmed = query.getColumn(6).getInt() != 0,
                   .quarantined = (marks & kQuarantined) != 0,
                   .error = Bytes(view(query.getColumn(8))),
                   .stored_ms = query.getColumn(9).getInt64(),
                   .has_gate = (marks & kHasGate) != 0,
                   .held = (marks & kHeld) != 0,
                   .released = (marks & kReleased) != 0};
    if (view(query.getColumn(10)) != release_check(row.install, row.release)) {
      log::error("stored_release_damaged",
                 {{"ledger", ledger.text()}, {"version", row.release.ref.version}});
      continue;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<ReleaseRow> ReleaseTables::find(int64_t ledger_row, const model::LedgerId& ledger,
                                              uint64_t version) {
  for (ReleaseRow& row : read(ledger_row, ledger))
    if (row.release.ref.version == version) return std::move(row);
  return std::nullopt;
}

void ReleaseTables::write(int64_t ledger_row, const ReleaseRow& row) {
  SQLite::Statement insert(
      database_, "INSERT OR REPLACE INTO releases VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const StoredRelease& release = row.release;
  const Bytes check = release_check(row.install, release);
  insert.bind(1, row.install);
  insert.bind(2, ledger_row);
  insert.bind(3, static_cast<int64_t>(release.ref.version));
  insert.bind(4, static_cast<int64_t>(release.ref.epoch));
  bind_bytes(insert, 5, release.ref.release_hash.view());
  bind_bytes(insert, 6, release.ref.content_root.view());
  bind_bytes(insert, 7, release.envelope);
  insert.bind(8, release.confirmed ? 1 : 0);
  insert.bind(9, static_cast<int64_t>(marks_of(release)));
  bind_bytes(insert, 10, release.error);
  insert.bind(11, release.stored_ms);
  bind_bytes(insert, 12, check);
  insert.exec();
}

void ReleaseTables::cap_times(int64_t ledger_row, const model::LedgerId& ledger, TimeMs wall_ms) {
  for (ReleaseRow& row : read(ledger_row, ledger)) {
    if (row.release.stored_ms <= wall_ms) continue;
    row.release.stored_ms = wall_ms;
    write(ledger_row, row);
  }
}

std::vector<int64_t> ReleaseTables::installs(int64_t ledger_row) {
  std::vector<int64_t> installs;
  SQLite::Statement query(database_,
                          "SELECT install FROM releases WHERE ledger = ? ORDER BY install");
  query.bind(1, ledger_row);
  while (query.executeStep()) installs.push_back(query.getColumn(0).getInt64());
  return installs;
}

size_t ReleaseTables::count() {
  return static_cast<size_t>(database_.execAndGet("SELECT COUNT(*) FROM releases").getInt64());
}

// File ranges refer to installs. If the sequence is damaged, the stored releases still give the
// number.
int64_t ReleaseTables::next_install() {
  const int64_t last = database_
                           .execAndGet(
                               "SELECT MAX(COALESCE((SELECT MAX(seq) FROM sqlite_sequence "
                               "WHERE name = 'releases'), 0), "
                               "COALESCE((SELECT MAX(install) FROM releases), 0))")
                           .getInt64();
  if (last >= kOpenRange - 2)
    refuse(ErrorCode::kCorrupt, fmt::format("the last install's number {}", kDamagedTrust));
  return last + 1;
}

void ReleaseTables::drop_except(int64_t ledger_row, const model::LedgerId& ledger,
                                const std::set<uint64_t>& versions) {
  std::set<int64_t> kept;
  for (const ReleaseRow& row : read(ledger_row, ledger))
    if (versions.contains(row.release.ref.version)) kept.insert(row.install);
  SQLite::Statement erase(database_, "DELETE FROM releases WHERE install = ?");
  for (const int64_t install : installs(ledger_row)) {
    if (kept.contains(install)) continue;
    erase.bind(1, install);
    erase.exec();
    erase.reset();
  }
}

void ReleaseTables::drop_lost() {
  database_.exec("DELETE FROM releases WHERE ledger NOT IN (SELECT id FROM ledgers)");
}

}  // namespace notp::store
