#include "notp-server/audit/day_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <ranges>
#include <system_error>

#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "common/random.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/read_only_disk.hpp"

namespace notp::audit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLogsFile = "logs.db";
constexpr const char* kDamagedEnd = ".damaged";
constexpr const char* kNewEnd = ".db.new";
constexpr size_t kStoreIdBytes = 16;
constexpr size_t kFirstPageRows = 8;
constexpr size_t kRecoveryPageRows = 1'024;

bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

// Moves a database and its log to a name that is free.
Result<std::string> move_aside(const fs::path& file) {
  fs::path to = file.string() + kDamagedEnd;
  for (int i = 2; is_there(to); ++i) to = fmt::format("{}{}.{}", file.string(), kDamagedEnd, i);
  for (const char* end : {"", "-wal", "-journal"}) {
    std::error_code error;
    if (!is_there(file.string() + end)) continue;
    fs::rename(file.string() + end, to.string() + end, error);
    if (error)
      return fail(ErrorCode::kIo, fmt::format("cannot rename {} to {}: {}", file.string() + end,
                                              to.string() + end, error.message()));
  }
  return to.filename().string();
}

Bytes new_store_id() {
  SystemRandom random;
  const std::array<uint64_t, kStoreIdBytes / sizeof(uint64_t)> words = {random.next_u64(),
                                                                        random.next_u64()};
  return {reinterpret_cast<const char*>(words.data()), kStoreIdBytes};
}

DayProgress progress_of(const StoredSegment& stored, uint32_t row) {
  const record::SegmentHead& head = stored.segment.head;
  return {.row = row,
          .segment = {.key = 0,
                      .node = stored.node,
                      .log = head.log,
                      .first = head.first,
                      .count = head.count,
                      .first_time_ns = stored.first_time_ns,
                      .last_time_ns = stored.last_time_ns,
                      .stored_ms = stored.stored_ms},
          .tree = stored.tree.encode(),
          .has_body = !stored.segment.body.empty()};
}

}  // namespace

// --- opening

DayFiles::DayFiles(fs::path folder, DayFilesOptions options, std::unique_ptr<LogTable> logs)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      logs_(std::move(logs)),
      damages_(folder_),
      readers_(options_.readers_max) {}

DayFiles::~DayFiles() = default;

Result<std::unique_ptr<LogTable>> DayFiles::open_logs(const fs::path& folder) {
  auto logs = LogTable::open(folder / kLogsFile);
  if (logs || logs.error().code != ErrorCode::kCorrupt || is_on_read_only_disk(folder)) return logs;
  NOTP_ASSIGN(const std::string aside, move_aside(folder / kLogsFile));
  log::write(log::Level::kError, "audit_file_damaged", logs.error(), {{"kept_as", aside}});
  return LogTable::open(folder / kLogsFile);
}

Result<std::unique_ptr<DayFiles>> DayFiles::open(const fs::path& folder, DayFilesOptions options) {
  if (!options.read_only) NOTP_TRY(make_private_folder(folder));
  NOTP_ASSIGN(auto logs, open_logs(folder));
  std::unique_ptr<DayFiles> out(new DayFiles(folder, std::move(options), std::move(logs)));
  NOTP_TRY(out->load());
  return out;
}

Result<std::vector<uint32_t>> DayFiles::days_on_disk() {
  std::vector<uint32_t> out;
  std::vector<fs::path> unfinished;  // of a rewrite that a crash ended
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (const auto day = day_of_file_name(name)) out.push_back(*day);
    if (name.contains(kNewEnd) && !options_.read_only) unfinished.push_back(at->path());
    if (name.contains(kDamagedEnd) && !name.ends_with("-wal") && !name.ends_with("-journal"))
      damages_.keep(name, {ErrorCode::kCorrupt, "it was damaged and is kept as evidence", {}},
                    true);
  }
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder_.string(), error.message()));
  std::error_code ignored;
  for (const fs::path& file : unfinished) fs::remove(file, ignored);
  std::ranges::sort(out);
  return out;
}

// A new logs.db takes the id of the files that are there: they are this store's.
Result<void> DayFiles::adopt_store(const std::vector<uint32_t>& days) {
  NOTP_ASSIGN(store_, logs_->store());
  if (!store_.empty()) return {};
  for (const uint32_t day : days | std::views::reverse)
    if (const auto store = DayDatabase::store_of(file_of(day));
        store && store->size() == kStoreIdBytes) {
      store_ = *store;
      break;
    }
  if (store_.empty()) store_ = new_store_id();
  return logs_->set_store(store_);
}

Result<void> DayFiles::load() {
  NOTP_ASSIGN(const std::vector<uint32_t> on_disk, days_on_disk());
  NOTP_TRY(adopt_store(on_disk));
  NOTP_ASSIGN(const std::vector<DaySummary> known, logs_->days());
  for (const DaySummary& summary : known) {
    add_day(summary);
    if (!std::ranges::binary_search(on_disk, summary.day))
      damages_.keep(day_file_name(summary.day), {ErrorCode::kCorrupt, "the file is missing", {}},
                    true);
  }
  const uint32_t newest = known.empty() ? 0 : known.back().day;
  for (const uint32_t day : on_disk) {
    const auto at = std::ranges::find(known, day, &DaySummary::day);
    const bool is_unclean = is_there(file_of(day).string() + "-wal");
    if (at == known.end())
      recover(day, 0);
    else if (day >= newest || is_unclean)
      recover(day, at->rows);
  }
  return {};
}

// The newest files may have more than logs.db; one that was not closed gets its log written back.
void DayFiles::recover(uint32_t day, uint32_t known_rows) {
  const bool is_unclean = is_there(file_of(day).string() + "-wal");
  auto database = is_unclean ? DayDatabase::open(file_of(day), DayMark{store_, day})
                             : DayDatabase::open_closed(file_of(day), DayMark{store_, day});
  const auto recovered = database ? recover_from(**database, day, known_rows)
                                  : Result<void>(std::unexpected(database.error()));
  if (!recovered) return damages_.keep(day_file_name(day), recovered.error(), true);
  if (!is_unclean || !options_.read_only) return;
  // It was read into memory with its log, which cannot be written back.
  const MutexLock lock(today_mutex_);
  today_ = {this->day(day), *std::move(database), 0};
}

Result<void> DayFiles::recover_from(DayDatabase& database, uint32_t day, uint32_t known_rows) {
  add_day({.day = day});
  NOTP_ASSIGN(const uint32_t last, database.last_row());
  if (last < known_rows)
    return fail(ErrorCode::kCorrupt,
                fmt::format("it ends with segment {} of {}: the file was replaced by an older one",
                            last, known_rows));
  for (uint32_t row = known_rows; row < last;) {
    NOTP_ASSIGN(const auto progress, database.progress_after(row, kRecoveryPageRows));
    if (progress.empty()) break;
    NOTP_TRY(logs_->advance(day, progress));
    extend_summary(day, progress);
    row = progress.back().row;
  }
  return {};
}

// --- days

DayFiles::DayPtr DayFiles::add_day(const DaySummary& summary) {
  const MutexLock lock(days_mutex_);
  DayPtr& day = days_[summary.day];
  if (!day) day = std::make_shared<Day>(summary);
  return day;
}

DayFiles::DayPtr DayFiles::day(uint32_t number) const {
  const MutexLock lock(days_mutex_);
  const auto at = days_.find(number);
  return at == days_.end() ? nullptr : at->second;
}

void DayFiles::extend_summary(uint32_t number, const std::vector<DayProgress>& progress) const {
  const MutexLock lock(days_mutex_);
  DaySummary& summary = days_.at(number)->summary;
  for (const DayProgress& step : progress) {
    summary.rows = std::max(summary.rows, step.row);
    summary.first_time_ns = std::min(summary.first_time_ns, step.segment.first_time_ns);
    summary.last_time_ns = std::max(summary.last_time_ns, step.segment.last_time_ns);
  }
}

// Days that may have segments of the range, in its order.
std::vector<DayFiles::DayPtr> DayFiles::days_of(const Range& range) const {
  const uint32_t bound = day_of_key(range.key);
  std::vector<DayPtr> out;
  const MutexLock lock(days_mutex_);
  for (const auto& [number, day] : days_) {
    if (day->summary.rows == 0) continue;
    if (range.ascending ? number < bound : range.key != 0 && number > bound) continue;
    if (day->summary.first_time_ns >= range.until_ns) continue;
    if (range.since_ns != 0 && day->summary.last_time_ns < range.since_ns) continue;
    out.push_back(day);
  }
  if (!range.ascending) std::ranges::reverse(out);
  return out;
}

// --- reading

// Opens a closed day, or says why it is of no use.
Result<DayReader> DayFiles::open_reader(const Day& day) const {
  const uint64_t generation = day.generation;
  uint32_t rows = 0;
  {
    const MutexLock lock(days_mutex_);
    rows = day.summary.rows;
  }
  auto reader = readers_.take(file_of(day.number), {store_, day.number}, generation, rows);
  if (reader) return reader;
  Error error = std::move(reader).error();
  if (!is_there(file_of(day.number))) error = {ErrorCode::kCorrupt, "the file is missing", {}};
  if (error.code == ErrorCode::kCorrupt) damages_.keep(day_file_name(day.number), error, true);
  return std::unexpected(std::move(error));
}

template <typename Step>
auto DayFiles::with_day(const DayPtr& day, Step&& step) const
    -> std::invoke_result_t<Step, DayDatabase&> {
  using Outcome = std::invoke_result_t<Step, DayDatabase&>;
  if (auto damage = damages_.unusable(day_file_name(day->number)))
    return std::unexpected(damages_.named(day_file_name(day->number), *std::move(damage)));
  std::optional<Outcome> outcome;
  while (!outcome) {
    {
      const MutexLock lock(today_mutex_);
      if (today_.database && today_.day == day) outcome.emplace(step(*today_.database));
    }
    if (outcome) break;
    const ReaderLock lock(day->use);
    if (day->is_written) continue;  // it became today's file meanwhile
    auto reader = open_reader(*day);
    if (!reader) {
      outcome.emplace(std::unexpected(std::move(reader).error()));
      break;
    }
    outcome.emplace(step(*reader->database));
    readers_.give_back(*std::move(reader));
  }
  if (*outcome) return *std::move(outcome);
  Error error = damages_.named(day_file_name(day->number), std::move(*outcome).error());
  if (error.code == ErrorCode::kCorrupt) damages_.keep(day_file_name(day->number), error, false);
  return std::unexpected(std::move(error));
}

Result<void> DayFiles::list(const Range& range, const Visit& visit) const {
  for (const DayPtr& day : days_of(range)) {
    uint32_t row = range.ascending ? 0 : UINT32_MAX;
    if (range.key != 0 && day_of_key(range.key) == day->number) row = row_of_key(range.key);
    for (size_t max = kFirstPageRows;; max = std::min(2 * max, limits::kDayPageRowsMax)) {
      auto page =
          with_day(day, [&](DayDatabase& database) { return database.page(range, row, max); });
      if (!page && page.error().code != ErrorCode::kCorrupt)
        return std::unexpected(std::move(page).error());
      if (!page) break;  // the other days go on
      for (DayEntry& entry : *page) {
        if (!entry.damage.empty())
          damages_.keep(day_file_name(day->number), {ErrorCode::kCorrupt, entry.damage, {}}, false);
        entry.segment.key = key_of(day->number, entry.row);
        if (!visit(entry.segment, entry.index)) return {};
      }
      if (page->size() < max) break;
      row = page->back().row;
    }
  }
  return {};
}

Result<StoredSegment> DayFiles::read(uint64_t key) const {
  const DayPtr found = day(day_of_key(key));
  if (!found) return fail(ErrorCode::kNotFound, "there is no such segment");
  NOTP_ASSIGN(StoredSegment out, with_day(found, [&](DayDatabase& database) {
                return database.read(row_of_key(key));
              }));
  out.key = key;
  return out;
}

Result<StoredSegment> DayFiles::find(const record::LogId& log, record::Position position) const {
  NOTP_ASSIGN(const auto number, logs_->day_of(log, position));
  const auto missing = [&] {
    return fail(ErrorCode::kNotFound,
                fmt::format("no segment holds position {} of log {}", position, log.hex()));
  };
  const DayPtr found = number ? day(*number) : nullptr;
  if (!found) return missing();
  return with_day(found, [&](DayDatabase& database) -> Result<StoredSegment> {
    NOTP_ASSIGN(const auto row, database.row_of(log, position));
    if (!row)
      return fail(ErrorCode::kCorrupt,
                  fmt::format("position {} of log {} was written to {} and is not there", position,
                              log.hex(), day_file_name(*number)));
    NOTP_ASSIGN(StoredSegment out, database.read(*row));
    out.key = key_of(*number, *row);
    return out;
  });
}

Result<Bytes> DayFiles::note_of(uint32_t number, const std::string& name) const {
  const DayPtr found = day(number);
  if (!found) return fail(ErrorCode::kNotFound, "there is no such day");
  return with_day(found, [&](DayDatabase& database) { return database.note(name); });
}

std::vector<record::LogId> DayFiles::logs_by_prefix(ByteView prefix) const {
  auto found = logs_->logs_by_prefix(prefix);
  if (found) return *std::move(found);
  log::write(log::Level::kError, "audit_logs_not_read", found.error());
  return {};
}

Result<std::vector<StoredFault>> DayFiles::faults(const record::LogId& log) const {
  NOTP_ASSIGN(std::vector<StoredFault> out, logs_->faults(log));
  for (const StoreDamage& damage : damages()) {
    const auto number = day_of_file_name(damage.file.substr(0, day_file_name(0).size()));
    if (!number) continue;
    NOTP_ASSIGN(const auto first, logs_->first_in_day(log, *number));
    if (!first) continue;
    out.insert(out.begin(), {.log = log,
                             .code = ErrorCode::kCorrupt,
                             .position = *first,
                             .message = damage.file + ": " + damage.message,
                             .at_ms = static_cast<TimeMs>(*number) * kDayMs,
                             .checkpoint = {},
                             .segment = {}});
  }
  return out;
}

// --- writing

Result<void> DayFiles::begin_today(uint32_t number) {
  if (today_.database && today_.day->number >= number) return {};
  NOTP_TRY(end_today());
  const DayPtr day = add_day({.day = number});
  const WriterLock lock(day->use);
  day->is_written = true;
  ++day->generation;
  if (const auto damage = damages_.unusable(day_file_name(number)))
    NOTP_TRY(set_aside(number, *damage));
  auto database = DayDatabase::open(file_of(number), DayMark{store_, number});
  if (!database && database.error().code == ErrorCode::kCorrupt) {
    NOTP_TRY(set_aside(number, database.error()));
    database = DayDatabase::open(file_of(number), DayMark{store_, number});
  }
  if (!database) {
    day->is_written = false;
    return std::unexpected(std::move(database).error());
  }
  uint32_t rows = 0;
  {
    const MutexLock days(days_mutex_);
    rows = day->summary.rows;
  }
  today_ = {day, *std::move(database), rows};
  return {};
}

// The last connection writes the log back and removes it.
Result<void> DayFiles::end_today() {
  if (!today_.database) return {};
  const WriterLock lock(today_.day->use);
  today_.database.reset();
  today_.day->is_written = false;
  ++today_.day->generation;
  return {};
}

// Makes the name free for a new file; the finding stays, under the name of what is kept.
Result<void> DayFiles::set_aside(uint32_t day, const Error& why) {
  std::string aside = day_file_name(day) + ".missing";
  if (is_there(file_of(day))) {
    NOTP_ASSIGN(aside, move_aside(file_of(day)));
  }
  damages_.keep(aside, why, true);
  damages_.forget(day_file_name(day));
  return {};
}

Result<void> DayFiles::append(const std::vector<StoredSegment>& segments) {
  if (segments.empty()) return {};
  if (options_.read_only)
    return fail(ErrorCode::kIo, folder_.string() + " is on a read-only disk: nothing is stored");
  const MutexLock lock(today_mutex_);
  auto stored = append_today(segments);
  if (!stored && stored.error().code == ErrorCode::kCorrupt && today_.database) {
    const uint32_t number = today_.day->number;
    const Error why = stored.error();
    NOTP_TRY(end_today());
    NOTP_TRY(set_aside(number, why));
    stored = append_today(segments);
  }
  if (!stored) return stored;
  failpoint("audit.after_day");
  move_logs_on();
  return {};
}

Result<void> DayFiles::append_today(const std::vector<StoredSegment>& segments) {
  // A clock that was set back does not go back to a closed day.
  uint32_t number = static_cast<uint32_t>(std::max<TimeMs>(options_.wall_ms(), 0) / kDayMs);
  {
    const MutexLock days(days_mutex_);
    if (!days_.empty()) number = std::max(number, days_.rbegin()->first);
  }
  NOTP_TRY(begin_today(number));
  const uint32_t first = today_.rows + 1;
  NOTP_TRY(today_.database->append(first, segments));
  std::vector<DayProgress> progress;
  for (size_t i = 0; i < segments.size(); ++i)
    progress.push_back(progress_of(segments[i], first + static_cast<uint32_t>(i)));
  today_.rows += static_cast<uint32_t>(segments.size());
  extend_summary(today_.day->number, progress);
  auto& later = behind_[today_.day->number];
  std::ranges::move(progress, std::back_inserter(later));
  return {};
}

// The segments are durable: a failure here is made up for later, or by the next start.
void DayFiles::move_logs_on() {
  while (!behind_.empty()) {
    const auto at = behind_.begin();
    if (const auto moved = logs_->advance(at->first, at->second); !moved)
      return log::write(log::Level::kError, "audit_logs_not_written", moved.error());
    behind_.erase(at);
  }
}

Result<void> DayFiles::copy_to(const std::filesystem::path& folder) const {
  const MutexLock lock(today_mutex_);
  if (today_.database)
    NOTP_TRY(today_.database->copy_to(folder / day_file_name(today_.day->number)));
  return logs_->copy_to(folder / kLogsFile);
}

}  // namespace notp::audit
