#include "notp-server/audit/day_database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "common/failpoint.hpp"
#include "common/limits.hpp"
#include "common/storage/sqlite.hpp"
#include "common/storage/sqlite_values.hpp"
#include "notp-server/audit/day_rows.hpp"

namespace notp::audit {

using namespace day_rows;

namespace {

// Runs a body that returns a Result.
template <typename Body>
auto attempt(std::string_view doing, Body&& body) -> std::invoke_result_t<Body> {
  try {
    return body();
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(sqlite_error(doing, exception));
  }
}

constexpr std::string_view kReading = "cannot read segments";
constexpr const char* kStore = "store";

// A mark in the table of meta values.
std::array<std::pair<std::string, Bytes>, 2> values_of(const DayMark& mark) {
  return {{{kStore, mark.store}, {"day", std::to_string(mark.day)}}};
}

}  // namespace

std::string day_file_name(uint32_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return fmt::format("{:04}-{:02}-{:02}.db", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::optional<uint32_t> day_of_file_name(std::string_view name) {
  constexpr std::string_view kForm = "dddd-dd-dd.db";
  if (name.size() != kForm.size()) return std::nullopt;
  const auto number = [&](size_t from, size_t count) {
    unsigned value = 0;
    for (size_t i = from; i < from + count; ++i)
      value = value * 10 + static_cast<unsigned>(name[i] - '0');
    return value;
  };
  for (size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] == 'd' && i < kForm.size() - 2 ? name[i] < '0' || name[i] > '9'
                                                : name[i] != kForm[i])
      return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(number(0, 4))},
                                         std::chrono::month{number(5, 2)},
                                         std::chrono::day{number(8, 2)}};
  const auto days = date.ok() ? std::chrono::sys_days{date}.time_since_epoch().count() : -1;
  return days < 0 ? std::nullopt : std::optional(static_cast<uint32_t>(days));
}

Result<std::unique_ptr<DayDatabase>> DayDatabase::open(const std::filesystem::path& file,
                                                       const DayMark& mark) {
  NOTP_ASSIGN(auto database, open_database(file));
  std::unique_ptr<DayDatabase> out(new DayDatabase(std::move(database)));
  NOTP_TRY(out->prepare(mark));
  return out;
}

Result<void> DayDatabase::prepare(const DayMark& mark) {
  NOTP_ASSIGN(const int format, sqlite_try("cannot read the format", [&] {
                return database_->execAndGet("PRAGMA user_version").getInt();
              }));
  if (format != 0) return check_mark(mark);
  return sqlite_try("cannot create a day's file", [&] {
    SQLite::Transaction transaction(*database_);
    database_->exec(kTables);
    database_->exec(kIndex);
    for (const auto& [name, value] : values_of(mark)) put_meta(*database_, name, value);
    database_->exec(fmt::format("PRAGMA user_version = {}", kFormat));
    transaction.commit();
  });
}

Result<std::unique_ptr<DayDatabase>> DayDatabase::open_closed(const std::filesystem::path& file,
                                                              const DayMark& mark) {
  NOTP_ASSIGN(auto database, connect_closed(file));
  std::unique_ptr<DayDatabase> out(new DayDatabase(std::move(database)));
  NOTP_TRY(out->check_mark(mark));
  return out;
}

Result<Bytes> DayDatabase::store_of(const std::filesystem::path& file) {
  NOTP_ASSIGN(const auto database, connect_closed(file));
  return sqlite_try(kReading, [&] { return meta_value(*database, kStore); });
}

Result<void> DayDatabase::check_mark(const DayMark& mark) const {
  return attempt("cannot read what file it is", [&]() -> Result<void> {
    const int format = database_->execAndGet("PRAGMA user_version").getInt();
    if (format != kFormat)
      return corrupt(fmt::format("it has format {}, this program reads {}", format, kFormat));
    for (const auto& [name, value] : values_of(mark))
      if (meta_value(*database_, name) != value)
        return corrupt(fmt::format("it is of another {}: the file was replaced", name));
    return {};
  });
}

Result<void> DayDatabase::copy_to(const std::filesystem::path& file) const {
  return copy_database(*database_, file);
}

Result<uint32_t> DayDatabase::last_row() const {
  return sqlite_try(kReading, [&] {
    return static_cast<uint32_t>(
        database_->execAndGet("SELECT coalesce(max(row), 0) FROM segments").getInt64());
  });
}

Result<void> DayDatabase::append(uint32_t row, const std::vector<StoredSegment>& segments) {
  return sqlite_try("cannot store segments", [&] {
    SQLite::Transaction transaction(*database_);
    SQLite::Statement meta(*database_, kInsertSegment);
    SQLite::Statement body(*database_, kInsertBody);
    for (const StoredSegment& segment : segments) insert_segment(meta, body, row++, segment);
    transaction.commit();
  });
}

Result<std::vector<DayEntry>> DayDatabase::page(const AuditStore::Range& range, uint32_t row,
                                                size_t max) const {
  return attempt(kReading, [&]() -> Result<std::vector<DayEntry>> {
    SQLite::Statement rows(
        *database_,
        fmt::format("SELECT {}, head, {} FROM segments WHERE row {} ? AND last_time_ns >= ? AND "
                    "first_time_ns < ? ORDER BY row {} LIMIT ?",
                    kRowColumns, range.with_filters ? "filter" : "''", range.ascending ? '>' : '<',
                    range.ascending ? "ASC" : "DESC"));
    rows.bind(1, static_cast<int64_t>(row));
    rows.bind(2, range.since_ns == 0 ? INT64_MIN : range.since_ns);
    rows.bind(3, range.until_ns);
    rows.bind(4, static_cast<int64_t>(max));
    std::vector<DayEntry> out;
    while (rows.executeStep()) {
      DayEntry& entry = out.emplace_back();
      entry.row = rows.getColumn(0).getUInt();
      NOTP_ASSIGN(entry.segment, segment_row(rows));
      auto head = unsealed(rows.getColumn(8), "head");
      auto filter = unsealed(rows.getColumn(9), "filter");
      if (head && filter)
        entry.index = {*std::move(head), *std::move(filter)};
      else
        entry.damage = fmt::format("the index of segment {} is damaged", entry.row);
    }
    return out;
  });
}

Result<StoredSegment> DayDatabase::read(uint32_t row) const {
  return attempt(kReading, [&]() -> Result<StoredSegment> {
    SQLite::Statement found(*database_,
                            fmt::format("SELECT {} FROM segments WHERE row = ?", kSegmentColumns));
    found.bind(1, static_cast<int64_t>(row));
    if (!found.executeStep()) return fail(ErrorCode::kNotFound, "there is no such segment");
    return read_segment(found);
  });
}

Result<std::optional<uint32_t>> DayDatabase::row_of(const record::LogId& log,
                                                    record::Position position) const {
  return sqlite_try(kReading, [&]() -> std::optional<uint32_t> {
    SQLite::Statement found(*database_,
                            "SELECT row, first, count FROM segments WHERE log = ? AND first <= ? "
                            "ORDER BY first DESC LIMIT 1");
    bind_blob(found, 1, log.view());
    found.bind(2, static_cast<int64_t>(std::min(position, limits::kPositionMax)));
    if (!found.executeStep()) return std::nullopt;
    const auto end = static_cast<uint64_t>(found.getColumn(1).getInt64()) +
                     static_cast<uint64_t>(found.getColumn(2).getInt64());
    if (position >= end) return std::nullopt;
    return found.getColumn(0).getUInt();
  });
}

Result<std::vector<DayProgress>> DayDatabase::progress_after(uint32_t row, size_t max) const {
  return attempt(kReading, [&]() -> Result<std::vector<DayProgress>> {
    SQLite::Statement rows(
        *database_,
        fmt::format(
            "SELECT {}, tree, EXISTS (SELECT 1 FROM bodies WHERE bodies.row = segments.row) "
            "FROM segments WHERE row > ? ORDER BY row LIMIT ?",
            kRowColumns));
    rows.bind(1, static_cast<int64_t>(row));
    rows.bind(2, static_cast<int64_t>(max));
    std::vector<DayProgress> out;
    while (rows.executeStep()) {
      DayProgress& progress = out.emplace_back();
      progress.row = rows.getColumn(0).getUInt();
      NOTP_ASSIGN(progress.segment, segment_row(rows));
      NOTP_ASSIGN(progress.tree, unsealed(rows.getColumn(8), "tree"));
      progress.has_body = rows.getColumn(9).getInt() != 0;
    }
    return out;
  });
}

Result<void> DayDatabase::replace(const std::map<uint32_t, StoredSegment>& segments) {
  return sqlite_try("cannot replace segments", [&] {
    database_->exec("PRAGMA secure_delete = ON");
    SQLite::Transaction transaction(*database_);
    for (const char* table : {"segments", "bodies"}) {
      SQLite::Statement old(*database_, fmt::format("DELETE FROM {} WHERE row = ?", table));
      for (const auto& [row, segment] : segments) {
        old.reset();
        old.bind(1, static_cast<int64_t>(row));
        old.exec();
      }
    }
    SQLite::Statement meta(*database_, kInsertSegment);
    SQLite::Statement body(*database_, kInsertBody);
    for (const auto& [row, segment] : segments) insert_segment(meta, body, row, segment);
    transaction.commit();
    failpoint("audit.after_replace");
    // Cells that were moved leave copies in the free parts of pages, and the log of the database
    // has the old pages. What this needs beside it must not lie in a folder for temporary files.
    database_->exec("PRAGMA temp_store = MEMORY");
    database_->exec("VACUUM");
    database_->exec("PRAGMA wal_checkpoint(TRUNCATE)");
  });
}

Result<Bytes> DayDatabase::note(const std::string& name) const {
  return sqlite_try(kReading, [&] { return meta_value(*database_, name); });
}

}  // namespace notp::audit
