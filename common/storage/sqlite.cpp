#include "common/storage/sqlite.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <system_error>

#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "common/storage/sqlite_memory.hpp"

namespace notp {
namespace {

void guard(SQLite::Database& database) {
  sqlite3* handle = database.getHandle();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_extended_result_codes(handle, 1);
  database.setBusyTimeout(0);  // one connection a file: another holder of a lock is a bug
}

void configure(SQLite::Database& database, const DatabaseOptions& options,
               const char* journal_mode) {
  guard(database);
  database.exec(fmt::format("PRAGMA page_size = {}", kDatabasePageBytes));
  database.exec("PRAGMA cell_size_check = ON");
  database.exec("PRAGMA locking_mode = EXCLUSIVE");  // also keeps the WAL index off shared memory
  // Reads the schema: after the locking mode, before the first page is written. On an existing file
  // it would change nothing, but still write.
  if (options.can_shrink && database.execAndGet("PRAGMA page_count").getInt() == 0)
    database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  database.exec(fmt::format("PRAGMA journal_mode = {}", journal_mode));
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
}

bool is_healthy(SQLite::Database& database) {
  SQLite::Statement check(database, "PRAGMA quick_check(1)");
  return check.executeStep() && check.getColumn(0).getString() == "ok";
}

}  // namespace

// Escapes characters that could end the path.
std::string database_uri(const std::filesystem::path& file, std::string_view parameters) {
  std::string uri = "file:";
  for (const char c : file.string())
    uri += c == '%' || c == '?' || c == '#' ? fmt::format("%{:02x}", c) : std::string(1, c);
  return fmt::format("{}?{}", uri, parameters);
}

Result<void> copy_database(SQLite::Database& database, const std::filesystem::path& to) {
  std::filesystem::path part = to;
  part += ".part";
  std::error_code error;
  std::filesystem::remove(part, error);
  make_private_file(part);
  NOTP_TRY(sqlite_try(fmt::format("cannot copy a database to {}", to.string()), [&] {
    SQLite::Statement copy(database, "VACUUM INTO ?");
    copy.bind(1, part.string());
    copy.exec();
  }));
  NOTP_TRY(sync_file(part));
  std::filesystem::rename(part, to, error);
  if (error)
    return fail(ErrorCode::kIo, fmt::format("cannot rename {} to {}: {}", part.string(),
                                            to.string(), error.message()));
  return sync_folder(to.parent_path());
}

Error sqlite_error(std::string_view doing, const SQLite::Exception& exception) {
  const int code = exception.getErrorCode() & 0xff;
  const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_FORMAT;
  return Error{damaged ? ErrorCode::kCorrupt : ErrorCode::kIo,
               fmt::format("{}: SQLite: {}", doing, exception.what()),
               {}};
}

Result<std::unique_ptr<SQLite::Database>> open_database(const std::filesystem::path& file,
                                                        const DatabaseOptions& options) {
  std::error_code ignored;
  const bool unclean = std::filesystem::exists(file.string() + "-wal", ignored) ||
                       std::filesystem::exists(file.string() + "-journal", ignored);
  std::unique_ptr<SQLite::Database> in_memory;
  if (is_on_read_only_disk(file.parent_path())) {
    NOTP_ASSIGN(in_memory, read_into_memory(file));
  } else if (file.filename() != ":memory:") {
    // Its log gets the same mode.
    make_private_file(file);
  }
  return sqlite_try(fmt::format("cannot open {}", file.string()), [&] {
    const char* journal_mode = in_memory ? "MEMORY" : "WAL";
    auto database = in_memory ? std::move(in_memory)
                              : std::make_unique<SQLite::Database>(
                                    file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    configure(*database, options, journal_mode);
    if (unclean && !is_healthy(*database))
      throw SQLite::Exception("database disk image is malformed (quick_check)", SQLITE_CORRUPT);
    return database;
  });
}

Result<std::unique_ptr<SQLite::Database>> open_database_to_fill(const std::filesystem::path& file) {
  return sqlite_try(fmt::format("cannot fill {}", file.string()), [&] {
    auto database = std::make_unique<SQLite::Database>(file.string(), SQLite::OPEN_READWRITE);
    // Refused in defensive mode.
    database->exec("PRAGMA journal_mode = OFF");
    guard(*database);
    database->exec("PRAGMA cell_size_check = ON");
    database->exec("PRAGMA locking_mode = EXCLUSIVE");
    database->exec("PRAGMA synchronous = FULL");
    database->exec("PRAGMA foreign_keys = ON");
    return database;
  });
}

Result<std::unique_ptr<SQLite::Database>> open_database_to_read(const std::filesystem::path& file) {
  return sqlite_try(fmt::format("cannot read {}", file.string()), [&] {
    // A log is readable only with write access to its index.
    auto database = std::make_unique<SQLite::Database>(file.string(), SQLite::OPEN_READWRITE);
    guard(*database);
    sqlite3_db_config(database->getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    database->exec("PRAGMA cell_size_check = ON");
    database->exec("PRAGMA locking_mode = EXCLUSIVE");
    database->exec("PRAGMA query_only = ON");
    return database;
  });
}

}  // namespace notp
