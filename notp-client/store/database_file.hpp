// Operations on the store's file as a whole: opens it, shrinks it, and replaces it by another. Part
// of SqliteStore: functions that return no Result throw SQLite::Exception or Refused.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "common/result.hpp"

namespace notp::store {

// Opens or creates the store's file for exclusive use. kCorrupt, kIo.
Result<std::unique_ptr<SQLite::Database>> open_store_file(const std::filesystem::path& file);

// The size of the write-ahead log of `file`; 0: there is none.
uint64_t log_bytes(const std::filesystem::path& file);
// Copies a log that is longer than `bytes_max` into the file, and empties it.
void shorten_log(SQLite::Database& database, const std::filesystem::path& file, uint64_t bytes_max);
// Runs one bounded step of shrinking a file that is mostly empty. False: nothing to do.
bool give_space_back(SQLite::Database& database);

// Removes a new database file of `file` that a crash has left. kIo.
Result<void> drop_new_database_file(const std::filesystem::path& file);

// A copy of the store in a separate file ("agent.db.new"), for a large write at once; it replaces
// the store's file when it is durable. If it does not replace the store, it is removed.
class NewDatabaseFile {
 public:
  // Copies all that is committed in `from`, which is `file`.
  NewDatabaseFile(SQLite::Database& from, std::filesystem::path file);
  ~NewDatabaseFile();
  NewDatabaseFile(const NewDatabaseFile&) = delete;
  NewDatabaseFile& operator=(const NewDatabaseFile&) = delete;

  // Opens it without a journal, and with one fsync at the end of a transaction.
  std::unique_ptr<SQLite::Database> open();
  // Both files are closed and the old one's log is empty. Afterwards, and after a crash at any
  // point, the name refers to the old file or the new one, whole.
  void take_place();

 private:
  const std::filesystem::path file_, new_file_;
};

}  // namespace notp::store
