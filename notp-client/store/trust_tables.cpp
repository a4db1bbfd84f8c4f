#include "notp-client/store/trust_tables.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.hpp"
#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"

namespace notp::store {
namespace {

// Of a root or an assignment, with its version or sequence.
Bytes envelope_check(std::string_view table, uint64_t number, ByteView envelope) {
  Bytes row;
  put_varint(row, number);
  put_text(row, envelope);
  return checksum(table, row);
}

Bytes number_check(std::string_view table, uint64_t value) {
  Bytes row;
  put_varint(row, value);
  return checksum(table, row);
}

// The checksum covers the id, too, because the last statement counts.
Bytes statement_check(int64_t id, ByteView envelope, TimeMs accepted_ms) {
  Bytes row;
  put_varint(row, static_cast<uint64_t>(id));
  put_text(row, envelope);
  put_varint(row, static_cast<uint64_t>(accepted_ms));
  return checksum("statements", row);
}

Bytes clock_check(const trust::ClockMarks& marks) {
  Bytes row;
  put_varint(row, static_cast<uint64_t>(marks.wall_ms));
  put_varint(row, static_cast<uint64_t>(marks.signed_ms));
  return checksum("clock", row);
}

constexpr const char* kAssignmentSchema = R"sql(
    CREATE TABLE assignment(
      id INTEGER PRIMARY KEY CHECK(id = 1), sequence INTEGER NOT NULL, envelope BLOB NOT NULL,
      checksum BLOB NOT NULL);
  )sql";

}  // namespace

const char* TrustTables::ledger_schema() {
  return R"sql(
    CREATE TABLE ledgers(
      id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch INTEGER NOT NULL,
      version INTEGER NOT NULL, release BLOB NOT NULL, checksum BLOB NOT NULL);
  )sql";
}

const char* TrustTables::schema() {
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

const char* TrustTables::assignment_schema() { return kAssignmentSchema; }

// Format 3 stored only the latest time seen.
void TrustTables::add_signed_time() {
  TimeMs mark_ms = 0;
  {
    SQLite::Statement old(database_, "SELECT high_water_ms, checksum, id FROM clock ORDER BY id");
    if (old.executeStep()) {
      mark_ms = old.getColumn(0).getInt64();
      if (old.getColumn(2).getInt64() != 1 ||
          view(old.getColumn(1)) != number_check("clock", static_cast<uint64_t>(mark_ms)))
        refuse(ErrorCode::kCorrupt, fmt::format("the latest time seen {}", kDamagedTrust));
    }
  }
  database_.exec("ALTER TABLE clock ADD COLUMN signed_ms INTEGER NOT NULL DEFAULT 0");
  if (mark_ms != 0) set_clock({mark_ms, 0});
}

void TrustTables::migrate(int from) {
  SQLite::Transaction transaction(database_, SQLite::TransactionBehavior::IMMEDIATE);
  if (from == 3) add_signed_time();
  database_.exec(assignment_schema());
  database_.exec("PRAGMA user_version = 5");
  transaction.commit();
}

// --- ledgers

std::vector<std::pair<int64_t, std::string>> TrustTables::ledgers() {
  std::vector<std::pair<int64_t, std::string>> names;
  SQLite::Statement query(database_, "SELECT id, name FROM ledgers ORDER BY name");
  while (query.executeStep())
    names.emplace_back(query.getColumn(0).getInt64(), query.getColumn(1).getString());
  return names;
}

std::optional<int64_t> TrustTables::find_ledger(const model::LedgerId& ledger) {
  SQLite::Statement query(database_, "SELECT id FROM ledgers WHERE name = ?");
  query.bind(1, ledger.text());
  if (!query.executeStep()) return std::nullopt;
  return query.getColumn(0).getInt64();
}

int64_t TrustTables::ledger_row(const model::LedgerId& ledger) {
  if (const auto id = find_ledger(ledger)) return *id;
  SQLite::Statement insert(
      database_,
      "INSERT INTO ledgers(name, epoch, version, release, checksum) VALUES(?, 0, 0, ?, ?)");
  const Hash none;
  const Bytes check = place_check("ledgers", ledger, trust::Floor{});
  insert.bind(1, ledger.text());
  bind_bytes(insert, 2, none.view());
  bind_bytes(insert, 3, check);
  insert.exec();
  return database_.getLastInsertRowid();
}

trust::Floor TrustTables::floor(int64_t ledger_row) {
  SQLite::Statement query(
      database_, "SELECT name, epoch, version, release, checksum FROM ledgers WHERE id = ?");
  query.bind(1, ledger_row);
  query.executeStep();
  const std::string name = query.getColumn(0).getString();
  const trust::Floor floor{number(query.getColumn(1)), number(query.getColumn(2)),
                           hash_column(query.getColumn(3))};
  const auto ledger = model::LedgerId::parse(name);
  if (!ledger || view(query.getColumn(4)) != place_check("ledgers", *ledger, floor))
    refuse(ErrorCode::kCorrupt, fmt::format("the floor of ledger {} {}", name, kDamagedTrust));
  return floor;
}

void TrustTables::set_floor(int64_t ledger_row, const model::LedgerId& ledger,
                            const trust::Floor& floor) {
  SQLite::Statement update(
      database_,
      "UPDATE ledgers SET epoch = ?, version = ?, release = ?, checksum = ? WHERE id = ?");
  const Bytes check = place_check("ledgers", ledger, floor);
  update.bind(1, static_cast<int64_t>(floor.epoch));
  update.bind(2, static_cast<int64_t>(floor.version));
  bind_bytes(update, 3, floor.release_hash.view());
  bind_bytes(update, 4, check);
  update.bind(5, ledger_row);
  update.exec();
}

trust::Floor TrustTables::listed(int64_t ledger_row, const model::LedgerId& ledger) {
  SQLite::Statement query(database_,
                          "SELECT epoch, version, release, checksum FROM listed WHERE ledger = ?");
  query.bind(1, ledger_row);
  if (!query.executeStep()) return {};
  const trust::Floor head{number(query.getColumn(0)), number(query.getColumn(1)),
                          hash_column(query.getColumn(2))};
  if (view(query.getColumn(3)) != place_check("listed", ledger, head))
    refuse(ErrorCode::kCorrupt,
           fmt::format("the listed head of {} {}", ledger.text(), kDamagedTrust));
  return head;
}

void TrustTables::set_listed(int64_t ledger_row, const model::LedgerId& ledger,
                             const trust::Floor& listed) {
  SQLite::Statement write(database_, "INSERT OR REPLACE INTO listed VALUES(?, ?, ?, ?, ?)");
  const Bytes check = place_check("listed", ledger, listed);
  write.bind(1, ledger_row);
  write.bind(2, static_cast<int64_t>(listed.epoch));
  write.bind(3, static_cast<int64_t>(listed.version));
  bind_bytes(write, 4, listed.release_hash.view());
  bind_bytes(write, 5, check);
  write.exec();
}

// --- roots

std::vector<StoredRoot> TrustTables::roots() {
  SQLite::Statement query(database_,
                          "SELECT version, envelope, checksum FROM roots ORDER BY version");
  std::vector<StoredRoot> chain;
  while (query.executeStep()) {
    StoredRoot root{number(query.getColumn(0)), Bytes(view(query.getColumn(1)))};
    const bool follows = chain.empty() || root.version == chain.back().version + 1;
    if (!follows ||
        view(query.getColumn(2)) != envelope_check("roots", root.version, root.envelope))
      refuse(ErrorCode::kCorrupt, fmt::format("root {} {}", root.version, kDamagedTrust));
    chain.push_back(std::move(root));
  }
  return chain;
}

bool TrustTables::add_root(const StoredRoot& root) {
  const std::vector<StoredRoot> chain = roots();
  if (!chain.empty()) {
    const StoredRoot& newest = chain.back();
    if (root.version == newest.version && root.envelope == newest.envelope) return false;
    if (root.version != newest.version + 1)
      refuse(ErrorCode::kRollback, fmt::format("the newest one stored is {}", newest.version));
  }
  SQLite::Statement write(database_, "INSERT INTO roots VALUES(?, ?, ?)");
  const Bytes check = envelope_check("roots", root.version, root.envelope);
  write.bind(1, static_cast<int64_t>(root.version));
  bind_bytes(write, 2, root.envelope);
  bind_bytes(write, 3, check);
  write.exec();
  return true;
}

void TrustTables::restart_freshness() {
  set_sequence(0);
  database_.exec("DELETE FROM listed");
  database_.exec("DELETE FROM assignment");
}

// --- freshness

uint64_t TrustTables::sequence() {
  SQLite::Statement query(database_, "SELECT sequence, checksum, id FROM freshness ORDER BY id");
  if (!query.executeStep()) return 0;
  const uint64_t last = number(query.getColumn(0));
  if (query.getColumn(2).getInt64() != 1 ||
      view(query.getColumn(1)) != number_check("freshness", last))
    refuse(ErrorCode::kCorrupt, fmt::format("the freshness sequence {}", kDamagedTrust));
  return last;
}

void TrustTables::set_sequence(uint64_t sequence) {
  SQLite::Statement write(database_, "INSERT OR REPLACE INTO freshness VALUES(1, ?, ?)");
  const Bytes check = number_check("freshness", sequence);
  write.bind(1, static_cast<int64_t>(sequence));
  bind_bytes(write, 2, check);
  write.exec();
}

TrustTables::Assignment TrustTables::assignment() {
  SQLite::Statement query(database_,
                          "SELECT sequence, envelope, checksum, id FROM assignment ORDER BY id");
  if (!query.executeStep()) return {};
  Assignment last{number(query.getColumn(0)), Bytes(view(query.getColumn(1)))};
  if (query.getColumn(3).getInt64() != 1 ||
      view(query.getColumn(2)) != envelope_check("assignment", last.sequence, last.envelope))
    refuse(ErrorCode::kCorrupt, fmt::format("the assignment to a class {}", kDamagedTrust));
  return last;
}

void TrustTables::keep_assignment(uint64_t sequence, ByteView envelope) {
  if (sequence < assignment().sequence)
    refuse(ErrorCode::kReplay, fmt::format("assignment {} is below the last", sequence));
  SQLite::Statement write(database_, "INSERT OR REPLACE INTO assignment VALUES(1, ?, ?, ?)");
  const Bytes check = envelope_check("assignment", sequence, envelope);
  write.bind(1, static_cast<int64_t>(sequence));
  bind_bytes(write, 2, envelope);
  bind_bytes(write, 3, check);
  write.exec();
}

// A damaged statement attests nothing: the releases that it attested become older, not untrusted.
std::map<int64_t, StoredStatement> TrustTables::statements() {
  SQLite::Statement query(database_,
                          "SELECT id, envelope, accepted_ms, checksum FROM statements ORDER BY id");
  std::map<int64_t, StoredStatement> all;
  while (query.executeStep()) {
    const int64_t id = query.getColumn(0).getInt64();
    StoredStatement statement{Bytes(view(query.getColumn(1))), query.getColumn(2).getInt64()};
    if (view(query.getColumn(3)) == statement_check(id, statement.envelope, statement.accepted_ms))
      all.emplace(id, std::move(statement));
    else
      log::error("stored_statement_damaged", {});
  }
  return all;
}

void TrustTables::write_statement(int64_t id, const StoredStatement& statement) {
  SQLite::Statement write(database_, "INSERT OR REPLACE INTO statements VALUES(?, ?, ?, ?)");
  const Bytes check = statement_check(id, statement.envelope, statement.accepted_ms);
  write.bind(1, id);
  bind_bytes(write, 2, statement.envelope);
  write.bind(3, statement.accepted_ms);
  bind_bytes(write, 4, check);
  write.exec();
}

void TrustTables::keep_freshness(const FreshnessKeep& keep) {
  if (keep.sequence <= sequence())
    refuse(ErrorCode::kReplay, fmt::format("sequence {} is not above the last", keep.sequence));
  set_sequence(keep.sequence);
  keep_attesters(keep.parted);
  // The last statement is never dropped, so no id is used twice.
  const auto last = database_.execAndGet("SELECT COALESCE(MAX(id), 0) FROM statements");
  write_statement(last.getInt64() + 1, {keep.envelope, keep.clock.wall_ms});
  drop_unneeded_statements();
  for (const auto& [ledger, head] : keep.listed) {
    const int64_t row = ledger_row(ledger);
    if (listed(row, ledger) != head) set_listed(row, ledger, head);
  }
  if (keep.sets_clock_back)
    set_clock({keep.clock.wall_ms, std::max(keep.clock.signed_ms, clock().signed_ms)});
  else
    raise_clock(keep.clock);
}

void TrustTables::keep_attesters(const std::vector<std::pair<model::LedgerId, Hash>>& parted) {
  SQLite::Statement keep(database_,
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

void TrustTables::drop_unneeded_statements() {
  database_.exec(R"sql(
    DELETE FROM vouchers WHERE NOT EXISTS(
      SELECT 1 FROM releases r WHERE r.ledger = vouchers.ledger AND r.release = vouchers.release);
    DELETE FROM statements WHERE id < (SELECT MAX(id) FROM statements)
      AND id NOT IN (SELECT statement FROM vouchers);
  )sql");
}

size_t TrustTables::count_statements() {
  return static_cast<size_t>(database_.execAndGet("SELECT COUNT(*) FROM statements").getInt64());
}

void TrustTables::cap_statements(TimeMs wall_ms) {
  for (const auto& [id, statement] : statements())
    if (statement.accepted_ms > wall_ms) write_statement(id, {statement.envelope, wall_ms});
}

// --- time

trust::ClockMarks TrustTables::clock() {
  SQLite::Statement query(database_,
                          "SELECT high_water_ms, signed_ms, checksum, id FROM clock ORDER BY id");
  if (!query.executeStep()) return {};
  const trust::ClockMarks marks{query.getColumn(0).getInt64(), query.getColumn(1).getInt64()};
  if (query.getColumn(3).getInt64() != 1 || view(query.getColumn(2)) != clock_check(marks))
    refuse(ErrorCode::kCorrupt, fmt::format("the latest time seen {}", kDamagedTrust));
  return marks;
}

void TrustTables::set_clock(const trust::ClockMarks& marks) {
  SQLite::Statement write(database_,
                          "INSERT OR REPLACE INTO clock(id, high_water_ms, checksum, signed_ms) "
                          "VALUES(1, ?, ?, ?)");
  const Bytes check = clock_check(marks);
  write.bind(1, marks.wall_ms);
  bind_bytes(write, 2, check);
  write.bind(3, marks.signed_ms);
  write.exec();
}

void TrustTables::raise_clock(const trust::ClockMarks& marks) {
  const trust::ClockMarks before = clock();
  const trust::ClockMarks after{std::max(before.wall_ms, marks.wall_ms),
                                std::max(before.signed_ms, marks.signed_ms)};
  if (after != before) set_clock(after);
}

// --- after damage

void TrustTables::check_listed() {
  const int lost =
      database_
          .execAndGet(
              "SELECT EXISTS(SELECT 1 FROM listed WHERE ledger NOT IN (SELECT id FROM ledgers))")
          .getInt();
  if (lost != 0)
    refuse(ErrorCode::kCorrupt, fmt::format("a listed head without its ledger {}", kDamagedTrust));
}

void TrustTables::drop_lost() {
  database_.exec("DELETE FROM vouchers WHERE ledger NOT IN (SELECT id FROM ledgers)");
}

}  // namespace notp::store
