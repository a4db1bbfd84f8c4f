// The rows of stored releases, each with a checksum. Part of SqliteStore: a function throws
// SQLite::Exception or Refused, and runs inside the caller's transaction.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <set>
#include <vector>

#include "notp-client/store/store.hpp"

namespace notp::store {

// `install` numbers the installations of all ledgers in order; file ranges refer to it.
struct ReleaseRow {
  int64_t install = 0;
  StoredRelease release;
};

class ReleaseTables {
 public:
  explicit ReleaseTables(SQLite::Database& database) : database_(database) {}

  // The SQL of the table, for a new database.
  static const char* schema();

  // Newest first. A damaged row is left out and logged.
  std::vector<ReleaseRow> read(int64_t ledger_row, const model::LedgerId& ledger);
  std::optional<ReleaseRow> find(int64_t ledger_row, const model::LedgerId& ledger,
                                 uint64_t version);
  void write(int64_t ledger_row, const ReleaseRow& row);
  // Caps the acceptance times of releases at `wall_ms`.
  void cap_times(int64_t ledger_row, const model::LedgerId& ledger, TimeMs wall_ms);

  // The installs of all rows, including damaged ones; ascending.
  std::vector<int64_t> installs(int64_t ledger_row);
  size_t count();
  // Returns the number of the next installation. A number is never reused, even after the newest
  // release is dropped. kCorrupt: no number is left.
  int64_t next_install();

  // Deletes all rows of the ledger except those of these versions; damaged rows always.
  void drop_except(int64_t ledger_row, const model::LedgerId& ledger,
                   const std::set<uint64_t>& versions);
  // Deletes rows without a ledger, which damage can leave.
  void drop_lost();

 private:
  SQLite::Database& database_;
};

}  // namespace notp::store
