// The audit store in files: one SQLite database for each day of arrival, as in "2026-11-29.db", and
// logs.db, which says what each log has and where.
//
// A segment is written to its day's file first, then logs.db moves on: after a crash in between,
// the next start moves it on. Rows of a day are numbered; a segment's key is
// (day << 32) + row, so that keys order segments by arrival.
//
// A day that is damaged, missing, or not the file that was written, is left out, named in
// damages() and logged once; the others go on. When today's file is damaged it is kept under its
// name and ".damaged", and a new one continues.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/day_database.hpp"
#include "notp-server/audit/log_table.hpp"

namespace notp::audit {

struct DayFilesOptions {
  std::function<TimeMs()> wall_ms = [] { return read_clock().wall_ms; };
  // On a read-only disk nothing can be appended.
  bool read_only = false;
  size_t readers_max = limits::kDayReadersMax;  // connections to closed days that stay open
};

// Thread-safe. Today's file has one connection, which readers share with the writer in short steps;
// closed days are opened read-only by any number of readers.
class DayFiles final : public AuditStore {
 public:
  // Opens or creates the folder. kIo; kConfig: logs.db has another format.
  static Result<std::unique_ptr<DayFiles>> open(const std::filesystem::path& folder,
                                                DayFilesOptions options);
  ~DayFiles() override;

  Result<void> append(const std::vector<StoredSegment>& segments) override;
  Result<void> put_log(const StoredLog& log) override { return logs_->put_log(log); }
  Result<void> put_fault(const StoredFault& fault) override { return logs_->put_fault(fault); }
  Result<std::vector<StoredLog>> logs(const std::optional<record::LogId>& after,
                                      size_t max) const override {
    return logs_->logs(after, max);
  }
  Result<std::vector<StoredFault>> faults(const record::LogId& log) const override;
  Result<void> list(const Range& range, const Visit& visit) const override;
  Result<StoredSegment> read(uint64_t key) const override;
  Result<StoredSegment> find(const record::LogId& log, record::Position position) const override;
  std::vector<record::LogId> logs_by_prefix(ByteView prefix) const override;
  Result<void> remove(uint64_t key) override;
  std::vector<StoreDamage> damages() const override;

  // Copies what is being written into a folder: logs.db, and before it the file of the current day.
  // The files of other days do not change and can be copied at any time. Nothing is stored
  // meanwhile. kIo.
  Result<void> copy_to(const std::filesystem::path& folder) const;

 private:
  // One day. Closed: its file is not written, readers hold `use` shared while they read it.
  struct Day {
    explicit Day(const DaySummary& known) : number(known.day), summary(known) {}
    const uint32_t number;
    SharedMutex use;
    bool is_written NOTP_GUARDED_BY(use) = false;  // it has the writer's connection
    Mutex checking;
    bool is_checked NOTP_GUARDED_BY(checking) = false;
    std::atomic<uint64_t> generation = 0;  // of what readers have open
    DaySummary summary;                    // guarded by days_mutex_
  };
  using DayPtr = std::shared_ptr<Day>;
  struct Reader {
    uint32_t day = 0;
    uint64_t generation = 0;
    std::unique_ptr<DayDatabase> database;
  };
  struct Damage {
    std::string message;
    bool is_unusable = false;  // nothing of the file is read
  };
  // The writer's file.
  struct Today {
    DayPtr day;
    std::unique_ptr<DayDatabase> database;
    uint32_t rows = 0;
  };

  DayFiles(std::filesystem::path folder, DayFilesOptions options, std::unique_ptr<LogTable> logs);
  static Result<std::unique_ptr<LogTable>> open_logs(const std::filesystem::path& folder);
  Result<void> load();
  Result<void> adopt_store(const std::vector<uint32_t>& days);
  Result<std::vector<uint32_t>> days_on_disk();
  void recover(uint32_t day, uint32_t known_rows);
  Result<void> recover_from(DayDatabase& database, uint32_t day, uint32_t known_rows);

  std::filesystem::path file_of(uint32_t day) const { return folder_ / day_file_name(day); }
  DayMark mark_of(uint32_t day) const { return {store_, day}; }
  DayPtr day(uint32_t number) const;
  std::vector<DayPtr> days_of(const Range& range) const;
  DayPtr add_day(const DaySummary& summary);

  Result<void> begin_today(uint32_t day) NOTP_REQUIRES(today_mutex_);
  Result<void> end_today() NOTP_REQUIRES(today_mutex_);
  Result<void> set_aside(uint32_t day, const Error& why) NOTP_REQUIRES(today_mutex_);
  Result<void> append_today(const std::vector<StoredSegment>& segments) NOTP_REQUIRES(today_mutex_);
  void move_logs_on() NOTP_REQUIRES(today_mutex_);
  void extend_summary(uint32_t day, const std::vector<DayProgress>& progress) const;

  // Runs `step` on the day's database, with the lock or connection that it needs. An error is named
  // by the file; damage is kept.
  template <typename Step>
  auto with_day(const DayPtr& day, Step&& step) const -> std::invoke_result_t<Step, DayDatabase&>;
  Result<Reader> open_reader(Day& day) const;
  Result<Reader> take_reader(const Day& day) const;
  void return_reader(Reader reader) const;
  Result<void> check_closed(Day& day, const DayDatabase& database) const;
  Error named(uint32_t day, Error error) const;
  void keep_damage(const std::string& file, const Error& error, bool is_unusable) const;
  std::optional<Error> damage_of(uint32_t day) const;

  const std::filesystem::path folder_;
  const DayFilesOptions options_;
  const std::unique_ptr<LogTable> logs_;
  Bytes store_;  // set by load()

  mutable Mutex today_mutex_;
  Today today_ NOTP_GUARDED_BY(today_mutex_);
  // Stored, and not yet in logs.db because that failed.
  std::map<uint32_t, std::vector<DayProgress>> behind_ NOTP_GUARDED_BY(today_mutex_);

  mutable Mutex days_mutex_;
  std::map<uint32_t, DayPtr> days_ NOTP_GUARDED_BY(days_mutex_);
  mutable std::map<std::string, Damage> damages_ NOTP_GUARDED_BY(days_mutex_);  // by file

  mutable Mutex readers_mutex_;
  mutable std::list<Reader> readers_ NOTP_GUARDED_BY(readers_mutex_);  // newest first
};

}  // namespace notp::audit
