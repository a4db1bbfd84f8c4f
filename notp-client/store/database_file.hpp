// The file of the store as a whole: how it is opened, how it gives space back, and how another file
// takes its place. Part of SqliteStore: what returns no Result throws SQLite::Exception or Refused.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "common/result.hpp"

namespace notp {

// Opens or creates the store's file, for one user at a time. kCorrupt, kIo.
Result<std::unique_ptr<SQLite::Database>> open_store_file(const std::filesystem::path& file);

// Of the write-ahead log of `file`; 0: there is none.
uint64_t log_bytes(const std::filesystem::path& file);
// Copies a log that is longer than `bytes_max` into the file, and empties it.
void shorten_log(SQLite::Database& database, const std::filesystem::path& file, uint64_t bytes_max);
// One bounded step of making a file shorter that is mostly empty. False: there is nothing to do.
bool give_space_back(SQLite::Database& database);

// Removes what a crash has left of a new database file of `file`. kIo.
Result<void> drop_new_database_file(const std::filesystem::path& file);

// A copy of the store in a file of its own ("agent.db.new"), to write much into it at once and have
// it take the store's place when it is durable. Without that it is removed again.
class NewDatabaseFile {
 public:
  // Copies all that is committed in `from`, which is `file`.
  NewDatabaseFile(SQLite::Database& from, std::filesystem::path file);
  ~NewDatabaseFile();
  NewDatabaseFile(const NewDatabaseFile&) = delete;
  NewDatabaseFile& operator=(const NewDatabaseFile&) = delete;

  // Without a journal, and with one fsync at the end of a transaction.
  std::unique_ptr<SQLite::Database> open();
  // Both files are closed and the log of the old one is empty. After it, and after a crash at any
  // point of it, the old file or the new one has the name, whole.
  void take_place();

 private:
  const std::filesystem::path file_, new_file_;
};

}  // namespace notp
