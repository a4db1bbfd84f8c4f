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
//
// Files of closed days are never changed: a backup may have links to them. One whose records are
// taken out, or that is compressed again, is made anew beside it and takes its name; a crash leaves
// the old one or the new one.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/day_database.hpp"
#include "notp-server/audit/day_readers.hpp"
#include "notp-server/audit/day_rewrite.hpp"
#include "notp-server/audit/log_table.hpp"
#include "notp-server/audit/store_damages.hpp"

namespace notp::audit {

struct DayFilesOptions {
  std::function<TimeMs()> wall_ms = [] { return read_clock().wall_ms; };
  // On a read-only disk nothing can be appended.
  bool read_only = false;
  size_t readers_max = limits::kDayReadersMax;  // connections to closed days that stay open
  // Records are taken out of today's file in place while it is no larger; else the next one begins,
  // and it is made anew like those of closed days.
  uint64_t in_place_bytes_max = limits::kRedactInPlaceBytesMax;
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
  Result<void> redact(const std::vector<Removal>& removals) override;
  std::vector<StoreDamage> damages() const override { return damages_.list(); }

  // Copies what is being written into a folder: logs.db, and before it the file of the current day.
  // The files of other days are only ever replaced, and can be copied at any time. Nothing is
  // stored meanwhile. kIo.
  Result<void> copy_to(const std::filesystem::path& folder) const;

  // Days with segments, ascending.
  std::vector<uint32_t> days() const;
  // Reads a note of a day's file, see DayRewrite. kCorrupt, kIo.
  Result<Bytes> note_of(uint32_t day, const std::string& name) const;
  // Makes the file of a closed day anew; `change` puts what differs. False: the day is not closed,
  // or was changed meanwhile, and the file is what it was. As long as writing the whole file, in
  // which the old one is read; other calls do not wait. kNotFound, kCorrupt, kIo, errors of
  // `change`.
  Result<bool> rewrite(uint32_t day, const std::function<Result<void>(DayRewrite&)>& change);

  // What is kept beside logs: holds, and removals that are under way.
  LogTable& table() { return *logs_; }

 private:
  // One day. Closed: its file is not written, readers hold `use` shared while they read it.
  struct Day {
    explicit Day(const DaySummary& known) : number(known.day), summary(known) {}
    const uint32_t number;
    SharedMutex use;
    bool is_written NOTP_GUARDED_BY(use) = false;  // it has the writer's connection
    std::atomic<uint64_t> generation = 0;          // of what readers have open
    DaySummary summary;                            // guarded by days_mutex_
  };
  using DayPtr = std::shared_ptr<Day>;
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
  DayPtr day(uint32_t number) const;
  std::vector<DayPtr> days_of(const Range& range) const;
  DayPtr add_day(const DaySummary& summary);

  Result<void> begin_today(uint32_t day) NOTP_REQUIRES(today_mutex_);
  Result<void> end_today() NOTP_REQUIRES(today_mutex_);
  Result<void> set_aside(uint32_t day, const Error& why) NOTP_REQUIRES(today_mutex_);
  // By row; no positions: the whole body.
  using Redaction = std::map<uint32_t, std::vector<record::Position>>;
  Result<void> redact_day(const DayPtr& day, const Redaction& redaction);
  // False: it is not today's file.
  Result<bool> redact_today(const DayPtr& day, const Redaction& redaction);
  Result<bool> put_in_place(Day& day, uint64_t generation, const std::filesystem::path& made);
  Result<void> append_today(const std::vector<StoredSegment>& segments) NOTP_REQUIRES(today_mutex_);
  void move_logs_on() NOTP_REQUIRES(today_mutex_);
  void extend_summary(uint32_t day, const std::vector<DayProgress>& progress) const;

  // Runs `step` on the day's database, with the lock or connection that it needs. An error is named
  // by the file; damage is kept.
  template <typename Step>
  auto with_day(const DayPtr& day, Step&& step) const -> std::invoke_result_t<Step, DayDatabase&>;
  Result<DayReader> open_reader(const Day& day) const;

  const std::filesystem::path folder_;
  std::atomic<uint64_t> rewrites_ = 0;  // names of new files
  const DayFilesOptions options_;
  const std::unique_ptr<LogTable> logs_;
  Bytes store_;  // set by load()

  mutable Mutex today_mutex_;
  Today today_ NOTP_GUARDED_BY(today_mutex_);
  // Stored, and not yet in logs.db because that failed.
  std::map<uint32_t, std::vector<DayProgress>> behind_ NOTP_GUARDED_BY(today_mutex_);

  mutable Mutex days_mutex_;
  std::map<uint32_t, DayPtr> days_ NOTP_GUARDED_BY(days_mutex_);

  mutable StoreDamages damages_;
  mutable DayReaders readers_;
};

}  // namespace notp::audit
