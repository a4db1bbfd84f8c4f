#include "common/sqlite.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace notp {
namespace {

void configure(SQLite::Database& database) {
  sqlite3* handle = database.getHandle();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_extended_result_codes(handle, 1);
  database.setBusyTimeout(0);  // one connection a file: a lock held by another is a mistake
  database.exec("PRAGMA page_size = 16384");
  database.exec("PRAGMA cell_size_check = ON");
  database.exec("PRAGMA locking_mode = EXCLUSIVE");  // also keeps the WAL index off shared memory
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
}

bool is_healthy(SQLite::Database& database) {
  SQLite::Statement check(database, "PRAGMA quick_check(1)");
  return check.executeStep() && check.getColumn(0).getString() == "ok";
}

}  // namespace

Error sqlite_error(std::string_view doing, const SQLite::Exception& exception) {
  const int code = exception.getErrorCode() & 0xff;
  const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_FORMAT;
  return Error{damaged ? ErrorCode::kCorrupt : ErrorCode::kIo,
               fmt::format("{}: SQLite: {}", doing, exception.what()),
               {}};
}

Result<std::unique_ptr<SQLite::Database>> open_database(const std::filesystem::path& file) {
  std::error_code ignored;
  const bool unclean = std::filesystem::exists(file.string() + "-wal", ignored);
  return sqlite_try(fmt::format("cannot open {}", file.string()), [&] {
    auto database = std::make_unique<SQLite::Database>(
        file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    configure(*database);
    if (unclean && !is_healthy(*database))
      throw SQLite::Exception("database disk image is malformed (quick_check)", SQLITE_CORRUPT);
    return database;
  });
}

}  // namespace notp
