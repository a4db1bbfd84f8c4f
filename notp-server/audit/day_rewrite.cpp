#include "notp-server/audit/day_rewrite.hpp"

#include <fmt/format.h>

#include <system_error>

#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/sqlite.hpp"
#include "common/storage/sqlite_values.hpp"
#include "notp-server/audit/day_rows.hpp"

namespace notp::audit {

using namespace day_rows;

Result<std::unique_ptr<DayRewrite>> DayRewrite::begin(const std::filesystem::path& from,
                                                      const std::filesystem::path& to,
                                                      const DayMark& mark) {
  NOTP_ASSIGN(auto source, DayDatabase::open_closed(from, mark));
  std::unique_ptr<DayRewrite> out(new DayRewrite(to, std::move(source)));
  std::error_code ignored;
  std::filesystem::remove(to, ignored);
  make_private_file(to);
  NOTP_TRY(sqlite_try(fmt::format("cannot write {}", to.string()), [&] {
    out->target_ = std::make_unique<SQLite::Database>(
        to.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_URI);
    SQLite::Database& target = *out->target_;
    target.exec(fmt::format("PRAGMA page_size = {}", kDatabasePageBytes));
    // An unfinished file is of no use.
    target.exec("PRAGMA journal_mode = OFF");
    target.exec("PRAGMA synchronous = OFF");
    target.exec("PRAGMA locking_mode = EXCLUSIVE");
    target.exec("PRAGMA temp_store = MEMORY");
    SQLite::Statement attach(target, "ATTACH DATABASE ? AS old");
    attach.bind(1, database_uri(from, "mode=ro&immutable=1"));
    attach.exec();
    target.exec("BEGIN");
    target.exec(kTables);
    target.exec(fmt::format("PRAGMA user_version = {}", kFormat));
    target.exec("INSERT INTO main.meta SELECT name, value FROM old.meta");
  }));
  return out;
}

DayRewrite::~DayRewrite() {
  target_.reset();
  std::error_code ignored;
  if (!is_finished_) std::filesystem::remove(to_, ignored);
}

// Throws. Copies the rows above those that are done and below `row`.
void DayRewrite::copy_until(uint32_t row) {
  for (const char* table : {"segments", "bodies"}) {
    SQLite::Statement copy(
        *target_, fmt::format("INSERT INTO main.{0} SELECT * FROM old.{0} WHERE row > ? AND "
                              "row < ? ORDER BY row",
                              table));
    copy.bind(1, static_cast<int64_t>(done_));
    copy.bind(2, static_cast<int64_t>(row));
    copy.exec();
  }
}

Result<void> DayRewrite::put(uint32_t row, const StoredSegment& segment) {
  return sqlite_try(fmt::format("cannot write {}", to_.string()), [&] {
    copy_until(row);
    SQLite::Statement meta(*target_, kInsertSegment);
    SQLite::Statement body(*target_, kInsertBody);
    insert_segment(meta, body, row, segment);
    done_ = row;
  });
}

Result<void> DayRewrite::note(const std::string& name, ByteView value) {
  return sqlite_try(fmt::format("cannot write {}", to_.string()), [&] {
    put_meta(*target_, name, value);  // of "main", which goes before "old"
  });
}

Result<void> DayRewrite::finish() {
  NOTP_TRY(sqlite_try(fmt::format("cannot write {}", to_.string()), [&] {
    copy_until(UINT32_MAX);
    target_->exec(kIndex);
    target_->exec("COMMIT");
    target_->exec("DETACH DATABASE old");
  }));
  target_.reset();
  source_.reset();
  NOTP_TRY(sync_file(to_));
  is_finished_ = true;
  return {};
}

}  // namespace notp::audit
