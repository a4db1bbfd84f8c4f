#include "common/storage/sqlite_memory.hpp"

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>

#include "common/storage/sqlite.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// Returns 0 when there is none.
Result<uint64_t> bytes_of(const fs::path& file) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(file, error);
  if (!error) return bytes;
  if (error == std::errc::no_such_file_or_directory) return 0;
  return fail(ErrorCode::kIo,
              fmt::format("cannot see how long {} is: {}", file.string(), error.message()));
}

std::string uri_of(const fs::path& file, bool has_log) {
  // A file that cannot be written is not open elsewhere: it needs no locks, which would be writes.
  // A database whose log was written back and removed has no log that could be opened; with a log,
  // "immutable" would ignore its content.
  return database_uri(file,
                      has_log ? "mode=ro&vfs=unix-none" : "mode=ro&vfs=unix-none&immutable=1");
}

std::unique_ptr<SQLite::Database> open_to_copy(const fs::path& file, bool has_log) {
  auto database = std::make_unique<SQLite::Database>(uri_of(file, has_log),
                                                     SQLite::OPEN_READONLY | SQLite::OPEN_URI);
  sqlite3_db_config(database->getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Before the first read: the index of the log is then in memory, not in a file.
  database->exec("PRAGMA locking_mode = EXCLUSIVE");
  return database;
}

}  // namespace

Result<std::unique_ptr<SQLite::Database>> read_into_memory(const fs::path& file) {
  const std::string doing = fmt::format("cannot read {} into memory", file.string());
  NOTP_ASSIGN(const uint64_t journal_bytes, bytes_of(file.string() + "-journal"));
  if (journal_bytes != 0)
    return fail(
        ErrorCode::kCorrupt,
        doing + ": a journal is left that can only be undone on a disk that can be written");
  NOTP_ASSIGN(const uint64_t file_bytes, bytes_of(file));
  NOTP_ASSIGN(const uint64_t log_bytes, bytes_of(file.string() + "-wal"));
  if (file_bytes + log_bytes > kMemoryDatabaseBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("{}: with its log it has {} bytes, at most {}", doing,
                            file_bytes + log_bytes, kMemoryDatabaseBytesMax));
  return sqlite_try(doing, [&] {
    auto memory = std::make_unique<SQLite::Database>(":memory:",
                                                     SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    if (file_bytes != 0) {
      const auto on_disk = open_to_copy(file, log_bytes != 0);
      if (SQLite::Backup(*memory, *on_disk).executeStep() != SQLITE_DONE)
        throw SQLite::Exception("the copy did not end", SQLITE_IOERR);
    }
    const auto page_bytes = static_cast<size_t>(memory->execAndGet("PRAGMA page_size").getInt());
    memory->exec(fmt::format("PRAGMA max_page_count = {}",
                             kMemoryDatabaseBytesMax / std::max(page_bytes, kDatabasePageBytes)));
    return memory;
  });
}

}  // namespace notp
