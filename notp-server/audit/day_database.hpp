// The database of one day of arrival: its schema and statements.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "notp-server/audit/audit_store.hpp"

namespace notp::audit {

// Says to which store and day a file belongs.
struct DayMark {
  Bytes store;       // 16 random bytes
  uint32_t day = 0;  // since 1970-01-01
};
inline constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
// The key of a segment in the store, and its row in the day's file: day_of_key().
constexpr uint64_t key_of(uint32_t day, uint32_t row) {
  return (static_cast<uint64_t>(day) << 32) + row;
}
constexpr uint32_t row_of_key(uint64_t key) { return static_cast<uint32_t>(key); }
// "2026-11-29.db".
std::string day_file_name(uint32_t day);
// nullopt: another name.
std::optional<uint32_t> day_of_file_name(std::string_view name);

// A segment in a page, without what only its reader needs.
struct DayEntry {
  uint32_t row = 0;
  SegmentRow segment;  // `key` is left 0
  SegmentIndex index;  // empty when it is damaged
  std::string damage;  // what is wrong with the index
};
// What a log is after a segment.
struct DayProgress {
  uint32_t row = 0;
  SegmentRow segment;  // `key` is left 0
  Bytes tree;
  bool has_body = false;
};

// One connection; one thread at a time. Rows count from 1, in the order of arrival. Each blob is
// stored with a checksum; a mismatch is kCorrupt. kIo.
class DayDatabase {
 public:
  // Opens or creates the file, which nothing else uses, for writing (common/storage/sqlite.hpp).
  // kCorrupt: damaged, or of another store or day.
  static Result<std::unique_ptr<DayDatabase>> open(const std::filesystem::path& file,
                                                   const DayMark& mark);
  // Opens a file that is not written any more, and has no log, for reading.
  static Result<std::unique_ptr<DayDatabase>> open_closed(const std::filesystem::path& file,
                                                          const DayMark& mark);
  // Reads the id of its store.
  static Result<Bytes> store_of(const std::filesystem::path& file);

  // The highest row; 0: none.
  Result<uint32_t> last_row() const;
  // As copy_database().
  Result<void> copy_to(const std::filesystem::path& file) const;
  // Adds the segments as the rows from `row` on, in one transaction.
  Result<void> append(uint32_t row, const std::vector<StoredSegment>& segments);
  // Up to `max` entries of the range's times below `row`, descending, or above it, ascending.
  Result<std::vector<DayEntry>> page(const AuditStore::Range& range, uint32_t row,
                                     size_t max) const;
  // kNotFound.
  Result<StoredSegment> read(uint32_t row) const;
  // The row that holds a record.
  Result<std::optional<uint32_t>> row_of(const record::LogId& log, record::Position position) const;
  // Up to `max` rows above `row`, ascending.
  Result<std::vector<DayProgress>> progress_after(uint32_t row, size_t max) const;
  // Puts others in the place of segments, and overwrites what was there: in the file as well as in
  // its log. Needs the size of the file in memory. A crash leaves the old ones or the new ones;
  // those that it leaves may still be in the free parts of the file.
  Result<void> replace(const std::map<uint32_t, StoredSegment>& segments);
  // What DayRewrite::note() has written; empty: nothing.
  Result<Bytes> note(const std::string& name) const;

 private:
  explicit DayDatabase(std::unique_ptr<SQLite::Database> database)
      : database_(std::move(database)) {}
  Result<void> prepare(const DayMark& mark);
  Result<void> check_mark(const DayMark& mark) const;

  std::unique_ptr<SQLite::Database> database_;
};

}  // namespace notp::audit
