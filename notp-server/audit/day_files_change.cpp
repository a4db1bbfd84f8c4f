// What changes the days' files afterwards: records that are taken out, and files that are made
// anew.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/stored_records.hpp"

namespace notp::audit {
namespace {

// What goes of a segment goes from the evidence of refused ones as well.
Result<StoredSegment> redacted(LogTable& logs, const StoredSegment& stored,
                               const std::vector<record::Position>& positions) {
  const record::SegmentHead& head = stored.segment.head;
  NOTP_TRY(logs.drop_evidence(head.log, head.first, head.count));
  return positions.empty() ? without_body(stored) : without_records(stored, positions);
}

}  // namespace

namespace fs = std::filesystem;

std::vector<uint32_t> DayFiles::days() const {
  const MutexLock lock(days_mutex_);
  std::vector<uint32_t> out;
  for (const auto& [number, day] : days_)
    if (day->summary.rows != 0) out.push_back(number);
  return out;
}

// --- a file made anew

Result<bool> DayFiles::rewrite(uint32_t number,
                               const std::function<Result<void>(DayRewrite&)>& change) {
  if (options_.read_only)
    return fail(ErrorCode::kIo, folder_.string() + " is on a read-only disk: nothing is changed");
  const DayPtr found = day(number);
  if (!found) return fail(ErrorCode::kNotFound, "there is no such day");
  if (auto damage = damages_.unusable(day_file_name(number)))
    return std::unexpected(damages_.named(day_file_name(number), *std::move(damage)));
  uint64_t generation = 0;
  {
    const MutexLock lock(today_mutex_);
    if (today_.database && today_.day == found) return false;
    generation = found->generation;
  }
  const fs::path made = fmt::format("{}.new{}", file_of(number).string(), ++rewrites_);
  const auto make = [&]() -> Result<void> {
    NOTP_ASSIGN(const auto rewrite,
                DayRewrite::begin(file_of(number), made, DayMark{store_, number}));
    NOTP_TRY(change(*rewrite));
    return rewrite->finish();
  };
  if (auto done = make(); !done) {
    // What is written while it is read looks damaged.
    if (found->generation != generation) return false;
    return std::unexpected(damages_.named(day_file_name(number), std::move(done).error()));
  }
  failpoint("audit.before_swap");
  return put_in_place(*found, generation, made);
}

Result<bool> DayFiles::put_in_place(Day& day, uint64_t generation, const fs::path& made) {
  const MutexLock today(today_mutex_);
  const WriterLock lock(day.use);
  std::error_code error;
  if (day.generation != generation || day.is_written) {
    fs::remove(made, error);
    return false;
  }
  fs::rename(made, file_of(day.number), error);
  if (error) {
    std::error_code ignored;
    fs::remove(made, ignored);
    return fail(ErrorCode::kIo, fmt::format("cannot rename {} to {}: {}", made.string(),
                                            file_of(day.number).string(), error.message()));
  }
  failpoint("audit.after_swap");
  ++day.generation;
  readers_.forget(day.number);  // else they would keep the old file on the disk
  NOTP_TRY(sync_folder(folder_));
  return true;
}

// --- records that are taken out

Result<bool> DayFiles::redact_today(const DayPtr& day, const Redaction& redaction) {
  const MutexLock lock(today_mutex_);
  if (!today_.database || today_.day != day) return false;
  std::error_code error;
  const uint64_t bytes = fs::file_size(file_of(day->number), error);
  if (error || bytes > options_.in_place_bytes_max) {
    NOTP_TRY(begin_today(day->number + 1));
    return false;
  }
  std::map<uint32_t, StoredSegment> changed;
  for (const auto& [row, positions] : redaction) {
    NOTP_ASSIGN(const StoredSegment stored, today_.database->read(row));
    NOTP_ASSIGN(changed[row], redacted(*logs_, stored, positions));
  }
  NOTP_TRY(today_.database->replace(changed));
  return true;
}

Result<void> DayFiles::redact_day(const DayPtr& day, const Redaction& redaction) {
  for (int attempt = 0; attempt < limits::kRewriteAttemptsMax; ++attempt) {
    NOTP_ASSIGN(const bool was_today, redact_today(day, redaction));
    if (was_today) return {};
    NOTP_ASSIGN(const bool is_done, rewrite(day->number, [&](DayRewrite& rewrite) -> Result<void> {
                  for (const auto& [row, positions] : redaction) {
                    NOTP_ASSIGN(const StoredSegment stored, rewrite.read(row));
                    NOTP_ASSIGN(const StoredSegment changed, redacted(*logs_, stored, positions));
                    NOTP_TRY(rewrite.put(row, changed));
                  }
                  return {};
                }));
    if (is_done) return {};
  }
  return fail(ErrorCode::kConflict,
              fmt::format("{} is changed again and again while records are taken out of it: try "
                          "again",
                          day_file_name(day->number)));
}

Result<void> DayFiles::redact(const std::vector<Removal>& removals) {
  if (options_.read_only)
    return fail(ErrorCode::kIo, folder_.string() + " is on a read-only disk: nothing is deleted");
  std::map<uint32_t, Redaction> days;
  for (const Removal& removal : removals) {
    Redaction& redaction = days[day_of_key(removal.key)];
    const auto row = row_of_key(removal.key);
    const auto [at, is_new] = redaction.try_emplace(row, removal.positions);
    if (is_new) continue;
    std::vector<record::Position>& positions = at->second;
    if (removal.positions.empty() || positions.empty()) {
      positions.clear();
      continue;
    }
    positions.insert(positions.end(), removal.positions.begin(), removal.positions.end());
    std::ranges::sort(positions);
  }
  for (const auto& [number, redaction] : days) {
    const DayPtr found = day(number);
    if (!found) return fail(ErrorCode::kNotFound, "there is no such segment");
    NOTP_TRY(redact_day(found, redaction));
  }
  return {};
}

}  // namespace notp::audit
