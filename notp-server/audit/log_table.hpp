// The database of an audit store's logs: announcements, trees, faults, and which day has what. All
// of it but announcements and faults can be made again from the days' files.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/day_database.hpp"

namespace notp::audit {

// What is known of a day's file.
struct DaySummary {
  uint32_t day = 0;
  uint32_t rows = 0;  // the highest row
  int64_t first_time_ns = INT64_MAX, last_time_ns = INT64_MIN;
};

// Thread-safe: one connection under a mutex. Blocking. All functions: kIo, kCorrupt.
class LogTable {
 public:
  // Opens or creates the file. kConfig: it has another format.
  static Result<std::unique_ptr<LogTable>> open(const std::filesystem::path& file);

  // The store's id; empty: it has none yet.
  Result<Bytes> store() const;
  Result<void> set_store(const Bytes& store);

  // As copy_database().
  Result<void> copy_to(const std::filesystem::path& file) const;
  Result<std::vector<DaySummary>> days() const;
  // Moves logs and days on, in one transaction. What a log already has changes nothing.
  Result<void> advance(uint32_t day, const std::vector<DayProgress>& progress);

  Result<void> put_log(const StoredLog& log);
  Result<void> put_fault(const StoredFault& fault);
  Result<std::vector<StoredLog>> logs(const std::optional<record::LogId>& after, size_t max) const;
  Result<std::vector<StoredFault>> faults(const record::LogId& log) const;
  Result<std::vector<record::LogId>> logs_by_prefix(ByteView prefix) const;
  // The day whose file should hold a record.
  Result<std::optional<uint32_t>> day_of(const record::LogId& log, record::Position position) const;
  // Where a day's part of a log begins; nullopt: it has none.
  Result<std::optional<record::Position>> first_in_day(const record::LogId& log,
                                                       uint32_t day) const;

  // Deletes what is kept of refused segments that have records of this range: they may be the same
  // ones. The faults stay, with the checkpoints that were signed.
  Result<void> drop_evidence(const record::LogId& log, record::Position first, uint32_t count);

  // Runs `body` on the database, for the tables that others keep in it (holds_table.hpp).
  Result<void> use(std::string_view doing,
                   const std::function<void(SQLite::Database&)>& body) const;

 private:
  explicit LogTable(std::unique_ptr<SQLite::Database> database) : database_(std::move(database)) {}
  // Runs `body` on the database; an exception becomes an Error.
  template <typename Body>
  auto run(std::string_view doing, Body&& body) const;

  mutable Mutex mutex_;
  const std::unique_ptr<SQLite::Database> database_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::audit
