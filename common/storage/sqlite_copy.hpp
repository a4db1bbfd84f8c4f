// A copy of a SQLite database that goes on being written: in parts, between its transactions.
#pragma once

#include <SQLiteCpp/Backup.h>

#include <filesystem>
#include <memory>

#include "common/storage/sqlite.hpp"

namespace notp {

// Commits of the source's own connection meanwhile go into the copy as well; there is to be no
// other connection.
class DatabaseCopy {
 public:
  // To the file `to`, mode 0600, which is replaced when all is done. On the source's thread.
  // `source` outlives step(). kIo.
  static Result<std::unique_ptr<DatabaseCopy>> begin(SQLite::Database& source,
                                                     std::filesystem::path to);

  // On the source's thread, outside of a transaction: copies at most `pages` pages. True: nothing
  // is left, and the source is not needed any more. Waits for no fsync. kIo, kCorrupt.
  Result<bool> step(int pages);
  // After the last step, on any thread: the file is there, complete, durable, and without what was
  // deleted. Takes as long as writing it all. kIo, kCorrupt.
  Result<void> finish();

 private:
  DatabaseCopy(std::filesystem::path to, std::filesystem::path raw,
               std::unique_ptr<SQLite::Database> database);

  const std::filesystem::path to_, raw_;
  std::unique_ptr<SQLite::Database> copy_;  // of raw_, until the last step
  std::unique_ptr<SQLite::Backup> backup_;
};

}  // namespace notp
