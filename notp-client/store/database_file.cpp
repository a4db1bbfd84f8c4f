#include "notp-client/store/database_file.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/storage/sqlite.hpp"
#include "common/storage/sqlite_attempt.hpp"

namespace notp::store {
namespace {

// An install waits for one fsync of the log. collect_garbage() copies the log into the file, unless
// it has grown to this length.
constexpr int kLogPagesMax = 4096;

std::filesystem::path new_database_file(const std::filesystem::path& file) {
  return file.string() + ".new";
}

// A missing file is not an error.
Result<void> drop_file(const std::filesystem::path& name) {
  std::error_code error;
  std::filesystem::remove(name, error);
  if (!error) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot remove {}: {}", name.string(), error.message()));
}

}  // namespace

Result<std::unique_ptr<SQLite::Database>> open_store_file(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto database, open_database(file, {.can_shrink = true}));
  NOTP_TRY(sqlite_try(fmt::format("cannot open {}", file.string()), [&] {
    database->exec(fmt::format("PRAGMA wal_autocheckpoint = {}", kLogPagesMax));
  }));
  return database;
}

uint64_t log_bytes(const std::filesystem::path& file) {
  std::error_code none;
  const auto bytes = std::filesystem::file_size(file.string() + "-wal", none);
  return none ? 0 : bytes;
}

void shorten_log(SQLite::Database& database, const std::filesystem::path& file,
                 uint64_t bytes_max) {
  if (log_bytes(file) <= bytes_max) return;
  SQLite::Statement checkpoint(database, "PRAGMA wal_checkpoint(TRUNCATE)");
  checkpoint.executeStep();
}

// The next releases will use most of the free pages: moving pages for each of them would be wasted
// work. Only a store that has become much smaller is worth it.
bool give_space_back(SQLite::Database& database) {
  const auto number_of = [&](const char* pragma) {
    return static_cast<uint64_t>(database.execAndGet(pragma).getInt64());
  };
  const uint64_t page_bytes = number_of("PRAGMA page_size");
  const uint64_t free = number_of("PRAGMA freelist_count"), all = number_of("PRAGMA page_count");
  if (free * page_bytes <= limits::kFreeBytesKept || free <= all / 4) return false;
  // In a store without a pointer map the count does not change, and the caller stops.
  SQLite::Statement step(
      database, fmt::format("PRAGMA incremental_vacuum({})", limits::kFreeBytesStep / page_bytes));
  while (step.executeStep()) continue;
  return number_of("PRAGMA freelist_count") < free;
}

Result<void> drop_new_database_file(const std::filesystem::path& file) {
  NOTP_TRY(drop_file(new_database_file(file).string() + "-journal"));
  return drop_file(new_database_file(file));
}

NewDatabaseFile::NewDatabaseFile(SQLite::Database& from, std::filesystem::path file)
    : file_(std::move(file)), new_file_(new_database_file(file_)) {
  require(drop_new_database_file(file_));
  try {
    SQLite::Statement copy(from, "VACUUM INTO ?");
    copy.bind(1, new_file_.string());
    copy.exec();
  } catch (...) {
    (void)drop_new_database_file(file_);
    throw;
  }
}

// A file that cannot be removed now is removed by the next attempt, or by the next process.
NewDatabaseFile::~NewDatabaseFile() { (void)drop_new_database_file(file_); }

std::unique_ptr<SQLite::Database> NewDatabaseFile::open() {
  auto database = open_database_to_fill(new_file_);
  require(database);
  return *std::move(database);
}

// SQLite assigns a log or a journal to a file by name alone: what the old file has left would be
// replayed into the new one. So their removal is durable before the new file gets the name.
void NewDatabaseFile::take_place() {
  for (const char* suffix : {"-wal", "-journal"}) require(drop_file(file_.string() + suffix));
  require(sync_folder(file_.parent_path()));
  std::error_code error;
  std::filesystem::rename(new_file_, file_, error);
  if (error)
    refuse(ErrorCode::kIo, fmt::format("cannot replace {}: {}", file_.string(), error.message()));
  require(sync_folder(file_.parent_path()));
}

}  // namespace notp::store
