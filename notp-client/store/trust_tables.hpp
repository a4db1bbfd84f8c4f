// The rows of the store that define what is trusted: floors, roots, freshness, assignment, listed
// heads, time. Each carries a checksum, because damage to one could change a decision. Part of
// SqliteStore: a function throws SQLite::Exception, or Refused (kCorrupt) for a damaged row, and
// runs inside the caller's transaction.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "notp-client/store/store.hpp"

namespace notp::store {

class TrustTables {
 public:
  explicit TrustTables(SQLite::Database& database) : database_(database) {}

  // The SQL of the tables, for a new database. The ledger rows come first: other tables refer to
  // them.
  static const char* ledger_schema();
  static const char* schema();
  static const char* assignment_schema();
  // To format 5, from 4, which knew no assignments, or from 3.
  void migrate(int from);

  // --- ledgers. A row holds the floor and is never deleted.

  // By name, including damaged names.
  std::vector<std::pair<int64_t, std::string>> ledgers();
  std::optional<int64_t> find_ledger(const model::LedgerId& ledger);
  // Creates the row when there is none.
  int64_t ledger_row(const model::LedgerId& ledger);
  trust::Floor floor(int64_t ledger_row);
  void set_floor(int64_t ledger_row, const model::LedgerId& ledger, const trust::Floor& floor);
  // Zero: no statement under this freshness key has listed it.
  trust::Floor listed(int64_t ledger_row, const model::LedgerId& ledger);

  // --- roots

  std::vector<StoredRoot> roots();  // oldest first, without gaps
  // False: it is already the newest one. kRollback when it does not follow the newest one.
  bool add_root(const StoredRoot& root);
  // The freshness key has changed: resets the sequence, the listed heads and the assignment.
  void restart_freshness();

  // --- freshness

  uint64_t sequence();
  // By id, oldest first; damaged ones are left out and logged.
  std::map<int64_t, StoredStatement> statements();
  size_t count_statements();  // including damaged ones
  // kReplay when the sequence is not above the last.
  void keep_freshness(const FreshnessKeep& keep);
  struct Assignment {
    uint64_t sequence = 0;
    Bytes envelope;  // empty: none
  };
  Assignment assignment();
  // kReplay when the sequence is below the last.
  void keep_assignment(uint64_t sequence, ByteView envelope);
  // Caps the acceptance times of statements at `wall_ms`.
  void cap_statements(TimeMs wall_ms);

  // --- time

  trust::ClockMarks clock();
  void set_clock(const trust::ClockMarks& marks);
  // Raises each mark; lowers none.
  void raise_clock(const trust::ClockMarks& marks);

  // --- after damage

  // kCorrupt: a listed head belongs to no ledger.
  void check_listed();
  void drop_lost();

 private:
  void add_signed_time();
  void set_listed(int64_t ledger_row, const model::LedgerId& ledger, const trust::Floor& listed);
  void set_sequence(uint64_t sequence);
  void write_statement(int64_t id, const StoredStatement& statement);
  void keep_attesters(const std::vector<std::pair<model::LedgerId, Hash>>& parted);
  void drop_unneeded_statements();

  SQLite::Database& database_;
};

}  // namespace notp::store
