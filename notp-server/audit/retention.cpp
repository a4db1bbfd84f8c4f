#include "notp-server/audit/retention.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <tuple>

#include "common/log.hpp"
#include "notp-server/audit/recompression.hpp"

namespace notp::audit {
namespace {

constexpr int64_t kBusyWaitMs = 1'000;

std::string rule_of(const TermsOfRecords::Found& found, uint32_t days) {
  const std::string_view by = days > found.terms.days_max ? ", kept longer here" : "";
  return fmt::format("retain_days max {} of {} v{}{}", found.terms.days_max,
                     found.release.ledger.text(), found.release.version, by);
}

}  // namespace

// What is due among the segments of one day, as far as one turn looks.
class Retention::Batch {
 public:
  Batch(Retention& of, HoldFilters holds, TimeMs now_ms)
      : of_(of),
        holds_(std::move(holds)),
        actives_(of.removals_.store()),
        terms_(of.find_terms_, actives_),
        now_ms_(now_ms) {}

  bool needs_filters() const { return holds_.needs_filters(); }
  bool is_full() const {
    return planned_.size() >= of_.options_.batch_segments_max ||
           records_ >= limits::kDeleteBatchRecordsMax || looked_ >= limits::kDeleteScanSegmentsMax;
  }

  Result<void> look(SegmentRecords& records, const SegmentIndex& index) {
    ++looked_;
    const SegmentRow& row = records.row();
    NOTP_ASSIGN(const HeadColumns head, HeadColumns::decode(index.head, row.count));
    NOTP_ASSIGN(std::vector<Due> due, due_of(records, head));
    if (due.empty()) return {};
    NOTP_TRY(take_out_held(records, index, due));
    NOTP_ASSIGN(const auto* const all, records.all());
    for (Due& each : due) {
      if (each.positions.empty()) continue;
      // One release decided them all, so that one rule is why the segment goes as a whole.
      const bool is_whole = each.positions.size() == row.count;
      records_ += each.positions.size();
      NOTP_ASSIGN(record::TreeEntry entry,
                  removal_entry(record::TreeEntryKind::kDeletion, row, *all,
                                std::move(each.positions), is_whole));
      entry.time_ms = now_ms_;
      entry.rule = rule_of(each.found, each.days);
      entry.release = each.found.release.release_hash;
      if (planned_.empty() || planned_.back().key != row.key) ++segments_;
      planned_.push_back({row.key, std::move(entry)});
    }
    return {};
  }

  const std::vector<PlannedRemoval>& planned() const { return planned_; }
  uint64_t records() const { return records_; }
  uint64_t segments() const { return segments_; }
  uint64_t held() const { return held_; }
  // When something of what was looked at is due next; kNever.
  TimeMs next_ms() const { return next_ms_; }

 private:
  // Records of one release in a segment.
  struct Due {
    TermsOfRecords::Found found;
    uint32_t days = 0;
    std::vector<record::Position> positions;
  };

  Result<std::vector<Due>> due_of(SegmentRecords& records, const HeadColumns& head) {
    const SegmentRow& row = records.row();
    std::vector<Due> out;
    // The columns are read when there is a decision with a ledger.
    if (std::ranges::none_of(head.shapes(), [](const RecordShape& shape) {
          return shape.kind == record::Kind::kDecision && !shape.ledger.empty();
        }))
      return out;
    NOTP_ASSIGN(const std::vector<record::Position> active, head.active());
    terms_.next_segment();
    for (uint32_t i = 0; i < row.count; ++i) {
      const RecordShape& shape = head.shapes()[head.shape_of_record()[i]];
      if (shape.kind != record::Kind::kDecision || shape.is_closed) continue;
      NOTP_ASSIGN(const auto* const found, terms_.find(records, shape, active[i]));
      if (found == nullptr || found->terms.days_max == 0) continue;
      const uint32_t days =
          std::max({found->terms.days_max, found->terms.days_min, of_.options_.days_min});
      if (const TimeMs due_ms = row.stored_ms + days * kDayMs; due_ms > now_ms_) {
        next_ms_ = std::min(next_ms_, due_ms);
        continue;
      }
      auto at = std::ranges::find_if(out, [&](const Due& each) {
        return each.found.release.release_hash == found->release.release_hash;
      });
      if (at == out.end()) at = out.insert(out.end(), {*found, days, {}});
      at->positions.push_back(row.first + i);
    }
    return out;
  }

  Result<void> take_out_held(SegmentRecords& records, const SegmentIndex& index,
                             std::vector<Due>& due) {
    if (holds_.empty()) return {};
    NOTP_ASSIGN(const std::vector<bool> held, holds_.covered(records, index, actives_));
    for (Due& each : due) {
      const size_t before = each.positions.size();
      std::erase_if(each.positions, [&](record::Position position) {
        return held[position - records.row().first];
      });
      held_ += before - each.positions.size();
      if (before != each.positions.size()) next_ms_ = now_ms_;
    }
    return {};
  }

  Retention& of_;
  HoldFilters holds_;
  ActiveSets actives_;
  TermsOfRecords terms_;
  const TimeMs now_ms_;
  std::vector<PlannedRemoval> planned_;
  uint64_t records_ = 0, segments_ = 0, held_ = 0;
  size_t looked_ = 0;
  TimeMs next_ms_ = kNever;
};

Retention::Retention(Removals& removals, FindTerms find_terms, RetentionOptions options,
                     const std::atomic<bool>& is_stopping)
    : removals_(removals),
      find_terms_(std::move(find_terms)),
      options_(std::move(options)),
      is_stopping_(is_stopping) {}

Result<DeletedByRule> Retention::run() {
  DeletedByRule total;
  const auto today = static_cast<uint32_t>(options_.clock().wall_ms / kDayMs);
  for (const uint32_t day : removals_.store().days()) {
    if (day >= today) break;  // more arrives
    const auto at = due_ms_.find(day);
    if (at != due_ms_.end() && at->second > options_.clock().wall_ms) continue;
    NOTP_TRY(run_day(day, total));
  }
  return total;
}

Result<void> Retention::run_day(uint32_t day, DeletedByRule& total) {
  TimeMs next_ms = kNever;
  uint64_t key = key_of(day, 0);
  for (bool is_whole = false; !is_whole;) {
    const TimeMs now_ms = options_.clock().wall_ms;
    NOTP_ASSIGN(Removals::Turn turn, Removals::Turn::begin(removals_, now_ms));
    NOTP_ASSIGN(const std::vector<wire::Hold> in_force, turn.holds().in_force());
    NOTP_ASSIGN(HoldFilters holds, HoldFilters::prepare(in_force));
    Batch batch(*this, std::move(holds), now_ms);
    is_whole = true;
    Result<void> failed;
    const AuditStore::Range range{
        .key = key, .ascending = true, .with_filters = batch.needs_filters()};
    const DayFiles& store = removals_.store();
    NOTP_TRY(store.list(range, [&](const SegmentRow& row, const SegmentIndex& index) {
      if (day_of_key(row.key) != day) return false;
      if (is_stopping_) failed = fail(ErrorCode::kCancelled, "the registry stops");
      if (!failed) return false;
      if (batch.is_full()) return is_whole = false;
      key = row.key;
      if (index.head.empty()) return true;  // without a body
      SegmentRecords records(store, row);
      auto looked = batch.look(records, index);
      if (looked || looked.error().code == ErrorCode::kNotFound) return true;
      if (looked.error().code == ErrorCode::kIo) {
        failed = std::move(looked);
        return false;
      }
      log::write(log::Level::kError, "audit_segment_not_read", looked.error(),
                 {{"log", row.log.hex()}, {"position", row.first}});
      return true;
    }));
    NOTP_TRY(std::move(failed));
    NOTP_TRY(turn.run(batch.planned()));
    next_ms = std::min(next_ms, batch.next_ms());
    total.records += batch.records();
    total.segments += batch.segments();
    total.held += batch.held();
  }
  due_ms_[day] = next_ms;
  return {};
}

// --- the thread

RetentionThread::RetentionThread(Removals& removals, FindTerms find_terms, RetentionOptions options)
    : removals_(removals),
      options_(options),
      retention_(removals, std::move(find_terms), std::move(options), is_stopping_) {}

RetentionThread::~RetentionThread() { stop(); }

void RetentionThread::start() {
  thread_ = std::thread([this] { run(); });
}

void RetentionThread::stop() {
  {
    const MutexLock lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool RetentionThread::wait_ms(int64_t time_ms) {
  MutexLock lock(mutex_);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(time_ms);
  while (!is_stopping_ && wake_.wait_until(lock, until) != std::cv_status::timeout) {
  }
  return !is_stopping_;
}

void RetentionThread::run() {
  // The least of processor and disk. What the system refuses is not needed.
  constexpr int kWhoProcess = 1, kIdleClass = 3, kClassShift = 13, kLeastNice = 19;
  std::ignore = ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLeastNice);
  std::ignore = ::syscall(SYS_ioprio_set, kWhoProcess, ::gettid(), kIdleClass << kClassShift);
  do run_once();
  while (wait_ms(options_.run_ms));
}

void RetentionThread::run_once() {
  const auto deleted = retention_.run();
  if (!deleted && deleted.error().code != ErrorCode::kCancelled)
    log::write(log::Level::kError, "audit_not_deleted", deleted.error());
  if (deleted && (deleted->records != 0 || deleted->held != 0))
    log::info(
        "audit_records_deleted",
        {{"records", deleted->records}, {"segments", deleted->segments}, {"held", deleted->held}});
  if (!options_.recompresses) return;
  const auto keep_going = [this] {
    while (!is_stopping_ && options_.is_busy()) wait_ms(kBusyWaitMs);
    return !is_stopping_.load();
  };
  recompress_days(removals_.store(), keep_going);
}

}  // namespace notp::audit
