// The part of SqliteStore that keeps what is trusted: roots, freshness, listed heads, time.
#include <fmt/format.h>

#include "common/log.hpp"
#include "notp-client/store/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"
#include "notp-client/store/sqlite_store.hpp"

namespace notp {
namespace {

using sqlite_columns::bind_bytes;
using sqlite_columns::view;
using sqlite_store::attempt;
using sqlite_store::checksum;
using sqlite_store::hash_column;
using sqlite_store::kDamagedTrust;
using sqlite_store::number;
using sqlite_store::place_check;
using sqlite_store::put_text;
using sqlite_store::refuse;

Bytes root_check(std::string_view table, uint64_t version, ByteView envelope) {
  Bytes row;
  put_varint(row, version);
  put_text(row, envelope);
  return checksum(table, row);
}

Bytes number_check(std::string_view table, uint64_t value) {
  Bytes row;
  put_varint(row, value);
  return checksum(table, row);
}

// The id, too: what was said last is what counts.
Bytes statement_check(int64_t id, ByteView envelope, TimeMs accepted_ms) {
  Bytes row;
  put_varint(row, static_cast<uint64_t>(id));
  put_text(row, envelope);
  put_varint(row, static_cast<uint64_t>(accepted_ms));
  return checksum("statements", row);
}

Bytes clock_check(const ClockMarks& marks) {
  Bytes row;
  put_varint(row, static_cast<uint64_t>(marks.wall_ms));
  put_varint(row, static_cast<uint64_t>(marks.signed_ms));
  return checksum("clock", row);
}

}  // namespace

const char* SqliteStore::trust_schema() {
  return R"sql(
    CREATE TABLE roots(
      version INTEGER PRIMARY KEY, envelope BLOB NOT NULL, checksum BLOB NOT NULL);
    CREATE TABLE freshness(
      id INTEGER PRIMARY KEY CHECK(id = 1), sequence INTEGER NOT NULL, checksum BLOB NOT NULL);
    CREATE TABLE statements(
      id INTEGER PRIMARY KEY AUTOINCREMENT, envelope BLOB NOT NULL, accepted_ms INTEGER NOT NULL,
      checksum BLOB NOT NULL);
    -- The last statement that vouched for a release, when later ones do not.
    CREATE TABLE vouchers(
      ledger INTEGER NOT NULL REFERENCES ledgers(id), release BLOB NOT NULL,
      statement INTEGER NOT NULL, PRIMARY KEY(ledger, release)) WITHOUT ROWID;
    CREATE TABLE listed(
      ledger INTEGER PRIMARY KEY REFERENCES ledgers(id), epoch INTEGER NOT NULL,
      version INTEGER NOT NULL, release BLOB NOT NULL, checksum BLOB NOT NULL);
    CREATE TABLE clock(
      id INTEGER PRIMARY KEY CHECK(id = 1), high_water_ms INTEGER NOT NULL, checksum BLOB NOT NULL,
      signed_ms INTEGER NOT NULL);
  )sql";
}

// --- roots

std::vector<StoredRoot> SqliteStore::read_roots() {
  SQLite::Statement query(database(),
                          "SELECT version, envelope, checksum FROM roots ORDER BY version");
  std::vector<StoredRoot> roots;
  while (query.executeStep()) {
    StoredRoot root{number(query.getColumn(0)), Bytes(view(query.getColumn(1)))};
    const bool follows = roots.empty() || root.version == roots.back().version + 1;
    if (!follows || view(query.getColumn(2)) != root_check("roots", root.version, root.envelope))
      refuse(ErrorCode::kCorrupt, fmt::format("root {} {}", root.version, kDamagedTrust));
    roots.push_back(std::move(root));
  }
  return roots;
}

void SqliteStore::write_root(const StoredRoot& root) {
  SQLite::Statement write(database(), "INSERT INTO roots VALUES(?, ?, ?)");
  const Bytes check = root_check("roots", root.version, root.envelope);
  write.bind(1, static_cast<int64_t>(root.version));
  bind_bytes(write, 2, root.envelope);
  bind_bytes(write, 3, check);
  write.exec();
}

Result<void> SqliteStore::pin_root(const StoredRoot& root, bool freshness_key_changed) {
  return attempt(fmt::format("cannot store root {}", root.version), [&] {
    SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
    const std::vector<StoredRoot> roots = read_roots();
    if (!roots.empty()) {
      const StoredRoot& newest = roots.back();
      if (root.version == newest.version && root.envelope == newest.envelope) return;
      if (root.version != newest.version + 1)
        refuse(ErrorCode::kRollback, fmt::format("the newest one stored is {}", newest.version));
    }
    write_root(root);
    if (freshness_key_changed) {
      write_sequence(0);
      database().exec("DELETE FROM listed");
    }
    transaction.commit();
  });
}

// --- freshness

uint64_t SqliteStore::read_sequence() {
  SQLite::Statement query(database(), "SELECT sequence, checksum, id FROM freshness ORDER BY id");
  if (!query.executeStep()) return 0;
  const uint64_t sequence = number(query.getColumn(0));
  if (query.getColumn(2).getInt64() != 1 ||
      view(query.getColumn(1)) != number_check("freshness", sequence))
    refuse(ErrorCode::kCorrupt, fmt::format("the freshness sequence {}", kDamagedTrust));
  return sequence;
}

void SqliteStore::write_sequence(uint64_t sequence) {
  SQLite::Statement write(database(), "INSERT OR REPLACE INTO freshness VALUES(1, ?, ?)");
  const Bytes check = number_check("freshness", sequence);
  write.bind(1, static_cast<int64_t>(sequence));
  bind_bytes(write, 2, check);
  write.exec();
}

// A statement that is damaged vouches for nothing; what it vouched for is older then, not trusted.
std::map<int64_t, StoredStatement> SqliteStore::read_statements() {
  SQLite::Statement query(database(),
                          "SELECT id, envelope, accepted_ms, checksum FROM statements ORDER BY id");
  std::map<int64_t, StoredStatement> statements;
  while (query.executeStep()) {
    const int64_t id = query.getColumn(0).getInt64();
    StoredStatement statement{Bytes(view(query.getColumn(1))), query.getColumn(2).getInt64()};
    if (view(query.getColumn(3)) == statement_check(id, statement.envelope, statement.accepted_ms))
      statements.emplace(id, std::move(statement));
    else
      log::error("stored_statement_damaged", {});
  }
  return statements;
}

void SqliteStore::write_statement(int64_t id, const StoredStatement& statement) {
  SQLite::Statement write(database(), "INSERT OR REPLACE INTO statements VALUES(?, ?, ?, ?)");
  const Bytes check = statement_check(id, statement.envelope, statement.accepted_ms);
  write.bind(1, id);
  bind_bytes(write, 2, statement.envelope);
  write.bind(3, statement.accepted_ms);
  bind_bytes(write, 4, check);
  write.exec();
}

Result<void> SqliteStore::keep_freshness(const FreshnessKeep& keep) {
  return attempt("cannot store what the registry vouches for", [&] {
    SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
    if (keep.sequence <= read_sequence())
      refuse(ErrorCode::kReplay, fmt::format("sequence {} is not above the last", keep.sequence));
    write_sequence(keep.sequence);
    keep_vouchers(keep.parted);
    // The last one is never dropped, so no id is used twice.
    const auto last = database().execAndGet("SELECT COALESCE(MAX(id), 0) FROM statements");
    write_statement(last.getInt64() + 1, {keep.envelope, keep.clock.wall_ms});
    drop_unneeded_statements();
    for (const auto& [ledger, listed] : keep.listed) {
      const int64_t id = ledger_row(ledger);
      if (read_listed(id, ledger) != listed) write_listed(id, ledger, listed);
    }
    if (keep.sets_clock_back)
      write_clock({keep.clock.wall_ms, std::max(keep.clock.signed_ms, read_clock().signed_ms)});
    else
      raise_clock(keep.clock);
    transaction.commit();
  });
}

void SqliteStore::keep_vouchers(const std::vector<std::pair<LedgerId, Hash>>& parted) {
  SQLite::Statement keep(database(),
                         "INSERT OR REPLACE INTO vouchers "
                         "SELECT ledger, release, (SELECT MAX(id) FROM statements) FROM releases "
                         "WHERE ledger = ? AND release = ? AND EXISTS(SELECT 1 FROM statements)");
  for (const auto& [ledger, release] : parted) {
    keep.bind(1, ledger_row(ledger));
    bind_bytes(keep, 2, release.view());
    keep.exec();
    keep.reset();
  }
}

void SqliteStore::drop_unneeded_statements() {
  database().exec(R"sql(
    DELETE FROM vouchers WHERE NOT EXISTS(
      SELECT 1 FROM releases r WHERE r.ledger = vouchers.ledger AND r.release = vouchers.release);
    DELETE FROM statements WHERE id < (SELECT MAX(id) FROM statements)
      AND id NOT IN (SELECT statement FROM vouchers);
  )sql");
}

Floor SqliteStore::read_listed(int64_t ledger_id, const LedgerId& ledger) {
  SQLite::Statement query(database(),
                          "SELECT epoch, version, release, checksum FROM listed WHERE ledger = ?");
  query.bind(1, ledger_id);
  if (!query.executeStep()) return {};
  const Floor listed{number(query.getColumn(0)), number(query.getColumn(1)),
                     hash_column(query.getColumn(2))};
  if (view(query.getColumn(3)) != place_check("listed", ledger, listed))
    refuse(ErrorCode::kCorrupt,
           fmt::format("the listed head of {} {}", ledger.text(), kDamagedTrust));
  return listed;
}

void SqliteStore::write_listed(int64_t ledger_id, const LedgerId& ledger, const Floor& listed) {
  SQLite::Statement write(database(), "INSERT OR REPLACE INTO listed VALUES(?, ?, ?, ?, ?)");
  const Bytes check = place_check("listed", ledger, listed);
  write.bind(1, ledger_id);
  write.bind(2, static_cast<int64_t>(listed.epoch));
  write.bind(3, static_cast<int64_t>(listed.version));
  bind_bytes(write, 4, listed.release_hash.view());
  bind_bytes(write, 5, check);
  write.exec();
}

// --- time

ClockMarks SqliteStore::read_clock() {
  SQLite::Statement query(database(),
                          "SELECT high_water_ms, signed_ms, checksum, id FROM clock ORDER BY id");
  if (!query.executeStep()) return {};
  const ClockMarks marks{query.getColumn(0).getInt64(), query.getColumn(1).getInt64()};
  if (query.getColumn(3).getInt64() != 1 || view(query.getColumn(2)) != clock_check(marks))
    refuse(ErrorCode::kCorrupt, fmt::format("the latest time seen {}", kDamagedTrust));
  return marks;
}

void SqliteStore::write_clock(const ClockMarks& marks) {
  SQLite::Statement write(database(),
                          "INSERT OR REPLACE INTO clock(id, high_water_ms, checksum, signed_ms) "
                          "VALUES(1, ?, ?, ?)");
  const Bytes check = clock_check(marks);
  write.bind(1, marks.wall_ms);
  bind_bytes(write, 2, check);
  write.bind(3, marks.signed_ms);
  write.exec();
}

void SqliteStore::raise_clock(const ClockMarks& marks) {
  const ClockMarks before = read_clock();
  const ClockMarks after{std::max(before.wall_ms, marks.wall_ms),
                         std::max(before.signed_ms, marks.signed_ms)};
  if (after != before) write_clock(after);
}

// Version 3 knew only the latest time seen.
void SqliteStore::migrate_3_to_4() {
  SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
  {
    TimeMs mark_ms = 0;
    SQLite::Statement old(database(), "SELECT high_water_ms, checksum, id FROM clock ORDER BY id");
    if (old.executeStep()) {
      mark_ms = old.getColumn(0).getInt64();
      if (old.getColumn(2).getInt64() != 1 ||
          view(old.getColumn(1)) != number_check("clock", static_cast<uint64_t>(mark_ms)))
        refuse(ErrorCode::kCorrupt, fmt::format("the latest time seen {}", kDamagedTrust));
    }
    old.reset();
    database().exec("ALTER TABLE clock ADD COLUMN signed_ms INTEGER NOT NULL DEFAULT 0");
    if (mark_ms != 0) write_clock({mark_ms, 0});
  }
  database().exec("PRAGMA user_version = 4");
  transaction.commit();
}

Result<void> SqliteStore::keep_time(const ClockMarks& marks) {
  return attempt("cannot store the time", [&] {
    SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
    raise_clock(marks);
    transaction.commit();
  });
}

Result<void> SqliteStore::reset_clock(TimeMs wall_ms) {
  return attempt("cannot set back the latest time seen", [&] {
    SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
    write_clock({wall_ms, read_clock().signed_ms});
    SQLite::Statement ledgers(database(), "SELECT id, name FROM ledgers");
    while (ledgers.executeStep()) {
      const int64_t id = ledgers.getColumn(0).getInt64();
      const auto ledger = LedgerId::parse(ledgers.getColumn(1).getString());
      if (!ledger) continue;  // load() says so
      for (ReleaseRow& row : read_releases(id, *ledger)) {
        if (row.release.stored_ms <= wall_ms) continue;
        row.release.stored_ms = wall_ms;
        write_release(id, row);
      }
    }
    for (const auto& [id, statement] : read_statements())
      if (statement.accepted_ms > wall_ms) write_statement(id, {statement.envelope, wall_ms});
    transaction.commit();
  });
}

}  // namespace notp
