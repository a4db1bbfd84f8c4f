#include "notp-client/spool/log_tail.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "notp-client/spool/record_size.hpp"
#include "notp-client/spool/wall_clock.hpp"

namespace notp::spool {
namespace {

// Without room for this the log counts as full.
constexpr uint64_t kUsualRecordBytes = 2 << 10;

// What a refused decision means to an operator.
constexpr std::string_view kClosed = "the agent is stopping";
constexpr std::string_view kRingFull =
    "the ring is full because nothing was sealed: look at the disk that holds the spool";
constexpr std::string_view kSlowDisk =
    "the disk has confirmed no sync for too many records: look at the disk that holds the spool";
constexpr std::string_view kSpoolFull =
    "the spool is full: let the agent reach its registry, or raise spool_bytes";
constexpr std::string_view kRingLost =
    "a sync of the ring failed, and a new ring is not made yet: look at the disk that holds the "
    "spool";

}  // namespace

bool must_be_recorded(const Entry& entry, WhenFull when_full) {
  return entry.durability == Durability::kStrict || when_full == WhenFull::kRefuse;
}

uint64_t decisions_in(const Entry& entry) {
  const auto* gap = std::get_if<record::Gap>(&entry.content);
  return gap == nullptr ? 1 : std::max<uint64_t>(1, gap->count);
}

std::unexpected<Error> not_recorded_because(std::string_view why) {
  return fail(ErrorCode::kAuditUnavailable,
              fmt::format("a decision is not given, because it cannot be recorded: {}", why));
}

LogTail::LogTail(TailStart start, const SpoolOptions& options, Wakeup& sealer, Wakeup& syncer)
    : options_(options),
      folder_(std::move(start.folder)),
      log_(start.log),
      run_(start.run),
      sealer_(sealer),
      syncer_(syncer),
      ring_{std::move(start.ring), start.head, start.end},
      unrecorded_(start.unrecorded) {
  for (const UnsealedPtr& record : start.backlog) backlog_.bytes += record->frame.size();
  backlog_.records = std::move(start.backlog);
  synced_.position = ring_.end.position;
  synced_.lease = ring_.file->header().lease;
}

std::string_view LogTail::no_room(uint64_t bytes, bool is_strict, bool for_log_itself) const {
  if (ring_.used() + bytes > ring_.file->header().capacity) return kRingFull;
  // One append writes at most a gap, an ACTIVE record and the decision.
  constexpr uint64_t kRecordsAtOnce = 3;
  if (ring_.end.position + kRecordsAtOnce > synced_.lease) return kSlowDisk;
  if (for_log_itself) return {};
  if (is_strict && synced_.has_failed) return kRingLost;
  const bool makes_room = options_.when_full == WhenFull::kDropOldest && !is_strict;
  if (!makes_room && unacknowledged_bytes_ + backlog_.bytes + bytes > options_.spool_bytes)
    return kSpoolFull;
  return {};
}

Result<record::Position> LogTail::write(record::Kind kind, int64_t time_ns, record::Position active,
                                        ByteView content) {
  const record::Position position = ring_.end.position;
  if (auto written = write_record(*ring_.file, ring_.end, backlog_.records, kind, {run_, active},
                                  time_ns, content);
      !written) {
    status_.trouble = written.error().message;
    return std::unexpected(std::move(written).error());
  }
  if (!synced_.has_failed) status_.trouble.clear();
  backlog_.bytes += backlog_.records.back()->frame.size();
  signal_threads();
  return position;
}

void LogTail::signal_threads() {
  const bool is_first = backlog_.records.size() == 1;
  if (is_first || (has_segment() && !backlog_.is_signalled)) {
    backlog_.is_signalled = has_segment();
    sealer_.signal();
  }
  const uint64_t unsynced = ring_.end.position - synced_.position;
  if (unsynced == 1 || unsynced == limits::kRingSyncRecords) syncer_.signal();
}

Result<std::optional<record::Position>> LogTail::append(const Entry& entry) {
  const Bytes content = encode_within_limit(entry.time_ns, entry.content);
  if (content.size() > kContentBytesMax)
    return fail(ErrorCode::kAuditUnavailable,
                "a decision is not given, because its record has no room even without its input "
                "and result: its path or its metadata are too large");
  const bool is_strict = entry.durability == Durability::kStrict;
  const MutexLock lock(mutex_);
  if (life_.stage == Stage::kEnded) return fail(ErrorCode::kState, "the log has ended");
  if (life_.stage == Stage::kClosed) return not_recorded(entry, kClosed);
  Bytes active;
  if (entry.active && !is_active_written(entry.active))
    active = encode_within_limit(entry.time_ns, *entry.active);
  const uint64_t bytes = content.size() + active.size() + kGapBytesMax +
                         3 * (kFrameHeadBytes + record::kPlaceBytesMax);
  if (const auto why = no_room(bytes, is_strict, /*for_log_itself=*/false); !why.empty())
    return not_recorded(entry, why);
  const auto position = write_entry(entry, content, active);
  if (!position) return not_recorded(entry, position.error().message);
  ++status_.recorded;
  if (const auto* gap = std::get_if<record::Gap>(&entry.content))
    ++status_.gaps[static_cast<size_t>(gap->reason) % kGapReasons];
  return *position;
}

Result<record::Position> LogTail::write_entry(const Entry& entry, const Bytes& content,
                                              const Bytes& active) {
  NOTP_TRY(write_gap());
  NOTP_ASSIGN(const record::Position in_force, active_position(entry, active));
  return write(static_cast<record::Kind>(entry.content.index()), entry.time_ns, in_force, content);
}

Result<std::optional<record::Position>> LogTail::not_recorded(const Entry& entry,
                                                              std::string_view why) {
  if (must_be_recorded(entry, options_.when_full) || life_.stage == Stage::kClosed) {
    ++status_.refused;
    return not_recorded_because(why);
  }
  ++status_.lost;
  count_unrecorded(decisions_in(entry));
  return std::optional<record::Position>();
}

void LogTail::count_unrecorded(uint64_t count) {
  unrecorded_ += count;
  synced_.unrecorded_is_new = true;
  // For a process that is killed before it can write the gap; a failing disk may not take it.
  (void)ring_.file->write_unrecorded({ring_.end.position, unrecorded_});
}

void LogTail::add_unrecorded(uint64_t count) {
  const MutexLock lock(mutex_);
  if (count != 0) count_unrecorded(count);
}

Result<record::Position> LogTail::append_own(const record::Content& content) {
  const int64_t now_ns = wall_ns();
  const Bytes encoded = encode_within_limit(now_ns, content);
  const MutexLock lock(mutex_);
  if (life_.is_over) return fail(ErrorCode::kState, "the log has ended");
  const uint64_t bytes =
      encoded.size() + kGapBytesMax + 2 * (kFrameHeadBytes + record::kPlaceBytesMax);
  if (const auto why = no_room(bytes, false, /*for_log_itself=*/true); !why.empty())
    return fail(ErrorCode::kAuditUnavailable, std::string(why));
  NOTP_TRY(write_gap());
  if (const auto* gap = std::get_if<record::Gap>(&content))
    ++status_.gaps[static_cast<size_t>(gap->reason) % kGapReasons];
  NOTP_ASSIGN(const record::Position position,
              write(static_cast<record::Kind>(content.index()), now_ns, 0, encoded));
  life_.is_over = std::holds_alternative<record::RunEnd>(content);
  return position;
}

// The count in the ring belongs to this position: once a record has it, the count is void.
Result<void> LogTail::write_gap() {
  if (unrecorded_ == 0) return {};
  const int64_t now_ns = wall_ns();
  record::Gap gap;
  gap.reason = record::GapReason::kFull;
  gap.count = unrecorded_;
  NOTP_TRY(write(record::Kind::kGap, now_ns, 0, record::encode_content(now_ns, gap)));
  ++status_.gaps[static_cast<size_t>(gap.reason)];
  unrecorded_ = 0;
  return {};
}

void LogTail::record_unrecorded() {
  const MutexLock lock(mutex_);
  const uint64_t bytes = kGapBytesMax + kFrameHeadBytes + record::kPlaceBytesMax;
  // A full spool takes it, too: it is small, and what it says is the reason for the rest.
  if (unrecorded_ != 0 && !life_.is_over && no_room(bytes, false, true).empty()) (void)write_gap();
}

bool LogTail::has_unrecorded() const {
  const MutexLock lock(mutex_);
  return unrecorded_ != 0;
}

bool LogTail::is_active_written(const ActiveSetPtr& active) const {
  return std::ranges::any_of(active_, [&](const auto& known) { return known.first == active; });
}

Result<record::Position> LogTail::active_position(const Entry& entry, const Bytes& encoded) {
  if (!entry.active) return 0;
  for (const auto& [active, position] : active_)
    if (active == entry.active) return position;
  NOTP_ASSIGN(const record::Position position,
              write(record::Kind::kActive, entry.time_ns, 0, encoded));
  active_.emplace_back(entry.active, position);
  if (active_.size() > kActiveSetsKept) active_.pop_front();
  return position;
}

bool LogTail::close() {
  const MutexLock lock(mutex_);
  return std::exchange(life_.stage, Stage::kClosed) != Stage::kClosed;
}

void LogTail::end() {
  const MutexLock lock(mutex_);
  life_.stage = Stage::kEnded;
}

void LogTail::resume() {
  const MutexLock lock(mutex_);
  life_.stage = Stage::kOpen;
}

bool LogTail::has_segment() const {
  return backlog_.records.size() >= limits::kSegmentRecordsMax ||
         backlog_.bytes >= limits::kSegmentContentBytesMax ||
         ring_.used() > ring_.file->header().capacity / 2;
}

bool LogTail::is_segment_full() const {
  const MutexLock lock(mutex_);
  return has_segment();
}

record::Position LogTail::next() const {
  const MutexLock lock(mutex_);
  return ring_.end.position;
}

std::vector<UnsealedPtr> LogTail::oldest() const {
  const MutexLock lock(mutex_);
  const size_t count = std::min(backlog_.records.size(), limits::kSegmentRecordsMax);
  return {backlog_.records.begin(), backlog_.records.begin() + static_cast<ptrdiff_t>(count)};
}

void LogTail::release(record::Position end) {
  std::vector<UnsealedPtr> released;  // their memory is freed without the lock
  released.reserve(limits::kSegmentRecordsMax);
  const MutexLock lock(mutex_);
  Backlog& records = backlog_.records;
  while (!records.empty() && records.front()->position() < end) {
    ring_.head = records.front()->after.offset;
    backlog_.bytes -= records.front()->frame.size();
    released.push_back(std::move(records.front()));
    records.pop_front();
  }
  backlog_.is_signalled = false;
}

record::Position LogTail::synced() const {
  const MutexLock lock(mutex_);
  return synced_.position;
}

bool LogTail::is_sync_failed() const {
  const MutexLock lock(mutex_);
  return synced_.has_failed;
}

uint64_t LogTail::unsynced() const {
  const MutexLock lock(mutex_);
  return ring_.end.position - synced_.position;
}

std::optional<SyncGoal> LogTail::begin_sync() {
  const MutexLock lock(mutex_);
  const bool is_new = ring_.end.position != synced_.position || synced_.unrecorded_is_new;
  if (!is_new || synced_.has_failed) return std::nullopt;
  synced_.unrecorded_is_new = false;
  RingHeader header = ring_.file->header();
  // The header may reach the disk before the frames do: it may promise only what an earlier sync
  // has made durable.
  header.synced = synced_.position;
  header.written = ring_.end.position;
  // After the last record of the run, none can be missing.
  header.lease = ring_.end.position + (life_.stage == Stage::kClosed ? 0 : limits::kRingLease);
  return SyncGoal{ring_.file, std::move(header)};
}

void LogTail::sync_succeeded(const SyncGoal& due) {
  const MutexLock lock(mutex_);
  if (due.ring != ring_.file) return;
  synced_.position = std::max(synced_.position, due.header.written);
  synced_.lease = std::max(synced_.lease, due.header.lease);
}

void LogTail::sync_failed(std::string trouble) {
  const MutexLock lock(mutex_);
  synced_.has_failed = true;
  status_.trouble = std::move(trouble);
}

// The kernel may drop what it could not write, and report success the next time. So the backlog,
// which is still in memory, goes to another file. Batched records go on meanwhile.
Result<void> LogTail::replace_ring() {
  const auto file = folder_ / (std::string(kRingFile) + ".new");
  RingHeader header;
  {
    const MutexLock lock(mutex_);
    header = ring_.file->header();
    header.capacity = std::max(header.capacity, options_.ring_bytes);
  }
  header.id = random_number();
  NOTP_ASSIGN(const auto made, RingFile::create(file, header));
  {
    const MutexLock lock(mutex_);
    Backlog moved = backlog_.records;
    header.first = moved.empty() ? ring_.end.position : moved.front()->position();
    header.synced = header.first;
    header.written = ring_.end.position;
    header.lease = ring_.end.position + limits::kRingLease;
    NOTP_TRY(made->begin_with(header));
    NOTP_ASSIGN(const RingPlace end, move_backlog(*made, moved, ring_.end.position));
    if (unrecorded_ != 0) NOTP_TRY(made->write_unrecorded({end.position, unrecorded_}));
    // Before the next record is written, so that a killed process finds it.
    NOTP_TRY(made->rename(folder_ / kRingFile));
    failpoint("spool.after_new_ring");
    backlog_.records = std::move(moved);
    ring_ = {made, 0, end};
  }
  NOTP_TRY(made->sync());
  NOTP_TRY(sync_folder(folder_));
  const MutexLock lock(mutex_);
  synced_ = {header.written, header.lease, unrecorded_ != 0, false};
  status_.trouble.clear();
  return {};
}

TailStatus LogTail::status() const {
  const MutexLock lock(mutex_);
  TailStatus out = status_;
  out.next = ring_.end.position;
  out.ring_bytes = ring_.used();
  out.oldest_ns = backlog_.records.empty() ? 0 : backlog_.records.front()->time_ns;
  const auto why = no_room(kUsualRecordBytes, /*is_strict=*/true, /*for_log_itself=*/false);
  out.is_full = !why.empty();
  out.is_failing = !status_.trouble.empty() || synced_.has_failed;
  if (out.trouble.empty()) out.trouble = why;
  return out;
}

}  // namespace notp::spool
