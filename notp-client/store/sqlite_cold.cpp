// The part of SqliteStore that stores the first large release: into a fresh file without a journal,
// so that its bytes are written once. That file takes the place of the old one when it is durable.
#include <fmt/format.h>

#include "common/files.hpp"
#include "notp-client/store/fresh_file.hpp"
#include "notp-client/store/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_store.hpp"

namespace notp {
namespace {

using sqlite_store::drop_fresh_file;
using sqlite_store::fresh_file;
using sqlite_store::refuse;
using sqlite_store::Refused;

// No error when it is not there.
Result<void> drop_file(const std::filesystem::path& name) {
  std::error_code error;
  std::filesystem::remove(name, error);
  if (!error) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot remove {}: {}", name.string(), error.message()));
}

void require(Result<void> done) {
  if (!done) throw Refused{std::move(done).error()};
}

uint64_t new_bytes(const InstallRecord& record) {
  uint64_t bytes = 0;
  for (const auto& [hash, content] : record.new_blobs) bytes += content->size();
  return bytes;
}

}  // namespace

namespace sqlite_store {

Result<void> drop_fresh_file(const std::filesystem::path& file) {
  NOTP_TRY(drop_file(fresh_file(file).string() + "-journal"));
  return drop_file(fresh_file(file));
}

}  // namespace sqlite_store

bool SqliteStore::is_cold(const InstallRecord& record) {
  if (is_volatile_ || new_bytes(record) < limits::kColdLoadBytesMin) return false;
  return database()
             .execAndGet(
                 "SELECT EXISTS(SELECT 1 FROM releases) OR EXISTS(SELECT 1 FROM files) "
                 "OR EXISTS(SELECT 1 FROM blobs) OR EXISTS(SELECT 1 FROM released)")
             .getInt() == 0;
}

void SqliteStore::load_cold(const InstallRecord& record) {
  require(drop_fresh_file(file_));
  const auto fresh = fresh_file(file_);
  try {
    const Installed installed = fill(fresh, record);
    heads_.clear();
    replace_by(fresh);
    heads_[installed.ledger_id] = {installed.install, record.tree};
  } catch (...) {
    (void)drop_fresh_file(file_);  // or the next attempt does, or the next process
    throw;
  }
}

// What there is, floors and roots above all, and the release: one transaction, and one fsync at its
// end.
SqliteStore::Installed SqliteStore::fill(const std::filesystem::path& fresh,
                                         const InstallRecord& record) {
  {
    SQLite::Statement copy(database(), "VACUUM INTO ?");
    copy.bind(1, fresh.string());
    copy.exec();
  }
  auto database = open_database_to_fill(fresh);
  if (!database) throw Refused{std::move(database).error()};
  SqliteStore filled(std::nullopt, fresh, *std::move(database));
  return filled.store_release(record);
}

// A log or a journal belongs to a file by its name alone: what the old file has left would be
// played into the fresh one. So the log is emptied, it goes with the last connection, and that it
// has gone is durable before the fresh file gets the name.
void SqliteStore::replace_by(const std::filesystem::path& fresh) {
  shorten_log(0);
  if (log_bytes() != 0) refuse(ErrorCode::kIo, "the log of the old file could not be emptied");
  database_.reset();
  for (const char* suffix : {"-wal", "-journal"}) require(drop_file(file_.string() + suffix));
  require(sync_folder(file_.parent_path()));
  std::error_code error;
  std::filesystem::rename(fresh, file_, error);
  if (error)
    refuse(ErrorCode::kIo, fmt::format("cannot replace {}: {}", file_.string(), error.message()));
  require(sync_folder(file_.parent_path()));
  database();
}

}  // namespace notp
