#include "common/storage/sqlite_copy.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <utility>

#include "common/storage/private_files.hpp"

namespace notp {
namespace {

void remove_database(const std::filesystem::path& file) {
  std::error_code ignored;
  for (const char* end : {"", "-wal", "-journal"})
    std::filesystem::remove(file.string() + end, ignored);
}

}  // namespace

DatabaseCopy::DatabaseCopy(std::filesystem::path to, std::filesystem::path raw,
                           std::unique_ptr<SQLite::Database> database)
    : to_(std::move(to)), raw_(std::move(raw)), copy_(std::move(database)) {}

Result<std::unique_ptr<DatabaseCopy>> DatabaseCopy::begin(SQLite::Database& source,
                                                          std::filesystem::path to) {
  std::filesystem::path raw = to;
  raw += ".raw";
  remove_database(raw);
  make_private_file(raw);
  NOTP_ASSIGN(auto database, open_database_to_fill(raw));
  return sqlite_try(fmt::format("cannot copy a database to {}", to.string()), [&] {
    // finish() makes durable what it makes of this file.
    database->exec("PRAGMA synchronous = OFF");
    std::unique_ptr<DatabaseCopy> out(
        new DatabaseCopy(std::move(to), std::move(raw), std::move(database)));
    out->backup_ = std::make_unique<SQLite::Backup>(*out->copy_, source);
    return out;
  });
}

Result<bool> DatabaseCopy::step(int pages) {
  return sqlite_try(fmt::format("cannot copy a database to {}", to_.string()), [&] {
    const int code = backup_->executeStep(pages);
    if (code != SQLITE_OK && code != SQLITE_DONE)
      throw SQLite::Exception("the database is written by another connection", code);
    if (code == SQLITE_OK) return false;
    backup_.reset();
    copy_.reset();
    return true;
  });
}

Result<void> DatabaseCopy::finish() {
  auto copied = [&]() -> Result<void> {
    NOTP_ASSIGN(const auto database, open_database(raw_));
    return copy_database(*database, to_);
  }();
  remove_database(raw_);
  return copied;
}

}  // namespace notp
