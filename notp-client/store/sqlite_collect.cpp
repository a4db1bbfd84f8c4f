// The part of SqliteStore that deletes what no kept release needs: in small steps, between other
// work, so that neither an install nor what waits for one pays for the size of an old release.
#include <fmt/format.h>

#include <filesystem>

#include "notp-client/store/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_store.hpp"

namespace notp {
namespace {

using sqlite_store::attempt;

// A log that is longer is copied into the file and cut when there is nothing else to do; SQLite by
// itself would do so in the middle of an install.
constexpr uint64_t kLogBytesMax = 1 << 20;

}  // namespace

Result<bool> SqliteStore::collect_garbage() {
  return attempt("cannot delete what dropped releases have left", [&] {
    if (collect_rows() > 0 || give_space_back()) return true;
    shorten_log(kLogBytesMax);
    return false;
  });
}

size_t SqliteStore::collect_rows() {
  SQLite::Transaction transaction(database(), SQLite::TransactionBehavior::IMMEDIATE);
  if (!counted_) collect_lost();
  std::vector<int64_t> ledgers;
  SQLite::Statement query(database(), "SELECT id FROM ledgers");
  while (query.executeStep()) ledgers.push_back(query.getColumn(0).getInt64());
  size_t rows = 0;
  for (int64_t ledger_id : ledgers)
    if (rows < limits::kCollectRowsMax)
      rows += collect_files(ledger_id, limits::kCollectRowsMax - rows);
  if (rows < limits::kCollectRowsMax) rows += contents().collect(limits::kCollectRowsMax - rows);
  transaction.commit();
  counted_ = true;
  return rows;
}

// Damage, and its repair, can leave what nothing refers to. Once in a process.
void SqliteStore::collect_lost() {
  database().exec(R"sql(
    DELETE FROM releases WHERE ledger NOT IN (SELECT id FROM ledgers);
    DELETE FROM files WHERE ledger NOT IN (SELECT id FROM ledgers);
    DELETE FROM vouchers WHERE ledger NOT IN (SELECT id FROM ledgers);
  )sql");
  std::set<int64_t> blobs;
  SQLite::Statement query(database(),
                          "SELECT id FROM blobs WHERE id NOT IN (SELECT blob FROM files)");
  while (query.executeStep()) blobs.insert(query.getColumn(0).getInt64());
  drop_unused(blobs);
  contents().recount();
}

// Files that no kept release has lie wholly between two neighbours of those kept. An install that
// replaced a release leaves such files, too.
size_t SqliteStore::collect_files(int64_t ledger_id, size_t rows_max) {
  std::vector<int64_t> ends;
  SQLite::Statement query(database(),
                          "SELECT install FROM releases WHERE ledger = ? ORDER BY install");
  query.bind(1, ledger_id);
  while (query.executeStep()) ends.push_back(query.getColumn(0).getInt64());
  if (ends.empty()) ends.push_back(INT64_MAX);
  size_t rows = 0;
  int64_t after = -1;
  for (int64_t before : ends) {
    if (rows < rows_max) rows += collect_files_between(ledger_id, after, before, rows_max - rows);
    after = before;
  }
  return rows;
}

size_t SqliteStore::collect_files_between(int64_t ledger_id, int64_t after, int64_t before,
                                          size_t rows_max) {
  SQLite::Statement erase(
      database(),
      "DELETE FROM files WHERE ledger = ?1 AND (path, first_install) IN ("
      "  SELECT path, first_install FROM files WHERE ledger = ?1 AND last_install < ?2 "
      "  AND last_install > ?3 AND first_install > ?3 LIMIT ?4) RETURNING blob");
  erase.bind(1, ledger_id);
  erase.bind(2, before);
  erase.bind(3, after);
  erase.bind(4, static_cast<int64_t>(rows_max));
  std::set<int64_t> blobs;
  size_t rows = 0;
  for (; erase.executeStep(); ++rows) blobs.insert(erase.getColumn(0).getInt64());
  drop_unused(blobs);
  return rows;
}

// The next releases will want most of the free pages: to move pages for every one of them would be
// work for nothing. A store that has become much smaller is another matter.
bool SqliteStore::give_space_back() {
  const auto number_of = [&](const char* pragma) {
    return static_cast<uint64_t>(database().execAndGet(pragma).getInt64());
  };
  const uint64_t page_bytes = number_of("PRAGMA page_size");
  const uint64_t free = number_of("PRAGMA freelist_count"), all = number_of("PRAGMA page_count");
  if (free * page_bytes <= limits::kFreeBytesKept || free <= all / 4) return false;
  // In a store without the pointers for this, the number stays; so it does not go on for ever.
  SQLite::Statement step(database(), fmt::format("PRAGMA incremental_vacuum({})",
                                                 limits::kFreeBytesStep / page_bytes));
  while (step.executeStep()) continue;
  return number_of("PRAGMA freelist_count") < free;
}

uint64_t SqliteStore::log_bytes() const {
  std::error_code none;
  const auto bytes = std::filesystem::file_size(file_.string() + "-wal", none);
  return none ? 0 : bytes;
}

void SqliteStore::shorten_log(uint64_t bytes_max) {
  if (is_volatile_ || log_bytes() <= bytes_max) return;
  SQLite::Statement checkpoint(database(), "PRAGMA wal_checkpoint(TRUNCATE)");
  checkpoint.executeStep();
}

}  // namespace notp
