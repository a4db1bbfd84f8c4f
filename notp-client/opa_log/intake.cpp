#include "notp-client/opa_log/intake.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/random.hpp"
#include "notp-client/opa_log/ids_file.hpp"
#include "notp-client/opa_log/treatment.hpp"

namespace notp::opa_log {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

struct Arrival {
  std::string instance;
  EventKey key;
  bool is_counted = true;
};

Error unavailable() {
  return {ErrorCode::kAuditUnavailable, "OPA's decisions cannot be recorded at the moment", {}};
}

}  // namespace

struct Intake::State : std::enable_shared_from_this<Intake::State> {
  explicit State(IntakeParts of) : parts(std::move(of)) {}

  // Appended, not durable yet. A duplicate waits with the first.
  struct Pending {
    record::Position position = 0;
  };

  Result<void> open();
  void restore_record(const record::Record& record, record::Position gaps) NOTP_REQUIRES(mutex);
  Result<void> accept_one(OpaEvent event, std::vector<Arrival>& arrivals,
                          std::optional<record::Position>& last) NOTP_REQUIRES(mutex);
  void on_durable(const std::vector<Arrival>& arrivals, const Result<void>& outcome);
  void add_known(const Arrival& arrival) NOTP_REQUIRES(mutex);
  void save(bool at_once) NOTP_REQUIRES(mutex);
  void write_gap(const SourceCounts::Missing& missing) NOTP_REQUIRES(mutex);

  const IntakeParts parts;
  const TimeMs opened_ms = read_clock().boot_ms;

  mutable Mutex mutex;
  std::unique_ptr<IdsFile> file NOTP_GUARDED_BY(mutex);
  KnownEvents known NOTP_GUARDED_BY(mutex);
  SourceCounts counts NOTP_GUARDED_BY(mutex);
  std::unordered_map<EventKey, Pending, HashOfKey> pending NOTP_GUARDED_BY(mutex);
  IdsFile::Batch unsaved NOTP_GUARDED_BY(mutex);
  size_t unsaved_keys NOTP_GUARDED_BY(mutex) = 0;
  bool has_news NOTP_GUARDED_BY(mutex) = false;
  record::Position appended NOTP_GUARDED_BY(mutex) = 0;  // behind the last record of ours
  bool is_paused NOTP_GUARDED_BY(mutex) = false;
  ConditionVariable none_pending;
  SystemRandom random NOTP_GUARDED_BY(mutex);
  TimeMs saved_ms NOTP_GUARDED_BY(mutex) = 0;
  IntakeStatus status NOTP_GUARDED_BY(mutex);
};

Result<void> Intake::State::open() {
  MutexLock lock(mutex);
  NOTP_ASSIGN(file, IdsFile::open(parts.folder));
  NOTP_ASSIGN(unsaved.place, file->load(known, counts));
  // Positions of another log mean nothing.
  if (unsaved.place.log != parts.log_id.hex()) {
    unsaved.place.log = parts.log_id.hex();
    unsaved.place.through = unsaved.place.gaps = 0;
  }
  appended = unsaved.place.through;
  const record::Position gaps = unsaved.place.gaps, from = std::min(appended, gaps);
  lock.unlock();
  NOTP_TRY(parts.read_log(from, [&](const record::Record& record) {
    const MutexLock restoring(mutex);
    restore_record(record, gaps);
  }));
  return {};
}

void Intake::State::restore_record(const record::Record& record, record::Position gaps) {
  if (const auto* gap = std::get_if<record::Gap>(&record.content)) {
    if (gap->reason == record::GapReason::kSource && record.place.position >= gaps)
      counts.restore_reported(gap->source, gap->count);
    appended = std::max(appended, record.place.position + 1);
    return;
  }
  const auto* decision = std::get_if<record::DecisionContent>(&record.content);
  if (decision == nullptr || decision->api != record::Api::kOpa) return;
  appended = std::max(appended, record.place.position + 1);
  if (decision->decision_id.empty()) return;
  const EventKey key = EventKey::of_id(decision->decision_id);
  if (known.contains_anywhere(key)) return;
  add_known({.instance = {}, .key = key, .is_counted = false});
  counts.restore_unattributed(1);
}

void Intake::State::add_known(const Arrival& arrival) {
  known.insert(arrival.instance, arrival.key);
  unsaved.keys[arrival.instance].push_back(arrival.key);
  ++unsaved_keys;
  has_news = true;
  if (arrival.is_counted) counts.recorded(arrival.instance, 1);
}

Result<void> Intake::State::accept_one(OpaEvent event, std::vector<Arrival>& arrivals,
                                       std::optional<record::Position>& last) {
  if (known.contains(event.instance, event.key)) {
    ++status.duplicates;
    return {};
  }
  if (const auto found = pending.find(event.key); found != pending.end()) {
    ++status.duplicates;
    last = std::max(last.value_or(0), found->second.position);
    return {};
  }
  const Now now = read_clock();
  if (event.time_ns / kNsPerMs < now.wall_ms - kCountSettleMs) counts.delayed(now.boot_ms);
  const auto set = parts.revisions.find(event.revision), newest = parts.revisions.newest();
  Arrival arrival{event.instance, event.key, event.is_counted};
  if (const auto rule = treat(event, set.get(), newest.get(), random)) {
    parts.log.drop(event.content.path, event.content.outcome, *rule);
    ++status.dropped;
    add_known(arrival);
    return {};
  }
  auto written = parts.log.append({.time_ns = event.time_ns,
                                   .content = std::move(event.content),
                                   .active = set ? set->for_log : nullptr,
                                   .durability = spool::Durability::kBatched});
  if (!written) {
    counts.delayed(now.boot_ms);
    return std::unexpected(std::move(written).error());
  }
  ++status.recorded;
  if (!set) ++status.unknown;
  if (!*written) {  // given unrecorded, as configured: the log counts it
    add_known(arrival);
    return {};
  }
  const record::Position position = (*written)->position;
  pending[arrival.key] = {position};
  appended = std::max(appended, position + 1);
  last = std::max(last.value_or(0), position);
  arrivals.push_back(std::move(arrival));
  return {};
}

void Intake::State::on_durable(const std::vector<Arrival>& arrivals, const Result<void>& outcome) {
  const MutexLock lock(mutex);
  for (const Arrival& arrival : arrivals) {
    pending.erase(arrival.key);
    if (outcome) add_known(arrival);
  }
  if (pending.empty()) none_pending.notify_all();
  if (!outcome) counts.delayed(read_clock().boot_ms);
}

// The counts have all gap records; the ids not those of the first record that is under way.
void Intake::State::save(bool at_once) {
  const TimeMs now_ms = read_clock().boot_ms;
  if (!has_news || (!at_once && unsaved_keys < kUnsavedKeysMax && now_ms - saved_ms < kSaveMs))
    return;
  unsaved.place.through = unsaved.place.gaps = appended;
  for (const auto& [key, waiting] : pending)
    unsaved.place.through = std::min(unsaved.place.through, waiting.position);
  saved_ms = now_ms;
  if (auto saved = file->commit(unsaved, known, counts); !saved) {
    if (status.trouble.empty()) log::write(log::Level::kWarn, "opa_ids_not_saved", saved.error());
    status.trouble = saved.error().message;
    return;
  }
  status.trouble.clear();
  unsaved.keys.clear();
  unsaved_keys = 0;
  has_news = false;
}

void Intake::State::write_gap(const SourceCounts::Missing& missing) {
  record::Gap gap{.reason = record::GapReason::kSource, .count = missing.count};
  gap.source = missing.instance;
  gap.message = fmt::format("OPA answered {} decisions more than it logged{}", missing.count,
                            missing.has_ended ? ", to the last poll before it ended" : "");
  log::warn(
      "opa_decisions_missing",
      {{"instance", missing.instance}, {"count", missing.count}, {"ended", missing.has_ended}});
  status.missing += missing.count;
  has_news = true;
  auto written = parts.log.append({.time_ns = read_clock().wall_ms * kNsPerMs,
                                   .content = std::move(gap),
                                   .active = nullptr,
                                   .durability = spool::Durability::kBatched});
  if (!written)
    log::write(log::Level::kError, "opa_gap_not_recorded", written.error());
  else if (*written)
    appended = std::max(appended, (*written)->position + 1);
}

Intake::Intake(std::shared_ptr<State> state) : state_(std::move(state)) {}

Intake::~Intake() {
  const MutexLock lock(state_->mutex);
  state_->save(/*at_once=*/true);
}

Result<std::unique_ptr<Intake>> Intake::open(IntakeParts parts) {
  auto state = std::make_shared<State>(std::move(parts));
  NOTP_TRY(state->open());
  return std::unique_ptr<Intake>(new Intake(std::move(state)));
}

Result<void> Intake::accept(std::vector<OpaEvent> events, std::function<void(Result<void>)> done) {
  if (!state_->parts.revisions.newest() && read_clock().boot_ms - state_->opened_ms < kModelWaitMs)
    return std::unexpected(unavailable());
  std::vector<Arrival> arrivals;
  std::optional<record::Position> last;
  Result<void> taken;
  {
    const MutexLock lock(state_->mutex);
    if (state_->is_paused) {
      state_->counts.delayed(read_clock().boot_ms);
      return std::unexpected(unavailable());
    }
    state_->save(/*at_once=*/false);
    for (OpaEvent& event : events) {
      taken = state_->accept_one(std::move(event), arrivals, last);
      if (!taken) break;
    }
  }
  // Without the lock: the log may call back at once.
  const auto finish = [state = state_, arrivals = std::move(arrivals),
                       done = taken ? std::move(done) : [](Result<void>) {}](Result<void> outcome) {
    state->on_durable(arrivals, outcome);
    done(outcome ? std::move(outcome) : std::unexpected(unavailable()));
  };
  if (last)
    state_->parts.log.when_durable(*last, finish);
  else
    finish({});
  return taken;
}

void Intake::pause() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPauseMs);
  MutexLock lock(state_->mutex);
  state_->is_paused = true;
  while (!state_->pending.empty() &&
         state_->none_pending.wait_until(lock, until) == std::cv_status::no_timeout)
    continue;
  state_->save(/*at_once=*/true);
}

void Intake::resume(const record::LogId& log) {
  const MutexLock lock(state_->mutex);
  state_->is_paused = false;
  if (state_->unsaved.place.log == log.hex()) return;
  state_->unsaved.place.log = log.hex();
  state_->appended = 0;
  state_->has_news = true;
}

void Intake::damaged(size_t count, std::string_view what) {
  if (count == 0) return;
  log::warn("opa_event_damaged", {{"count", count}, {"first", what}});
  const MutexLock lock(state_->mutex);
  state_->status.damaged += count;
}

void Intake::set_file_position(const FilePosition& position) {
  const MutexLock lock(state_->mutex);
  if (state_->unsaved.place.file == position) return;
  state_->unsaved.place.file = position;
  state_->has_news = true;
}

FilePosition Intake::file_position() const {
  const MutexLock lock(state_->mutex);
  return state_->unsaved.place.file;
}

void Intake::polled(const std::string& instance, uint64_t answered) {
  const MutexLock lock(state_->mutex);
  const auto& instances = state_->counts.instances();
  const auto before = instances.find(instance);
  if (before == instances.end() || before->second.answered != answered) state_->has_news = true;
  state_->counts.polled(instance, answered, read_clock().boot_ms);
}

void Intake::settle() {
  const MutexLock lock(state_->mutex);
  if (state_->is_paused) return;
  for (const auto& missing : state_->counts.settle(read_clock().boot_ms))
    state_->write_gap(missing);
  state_->save(/*at_once=*/false);
}

std::map<std::string, SourceCounts::Instance> Intake::sources() const {
  const MutexLock lock(state_->mutex);
  return state_->counts.instances();
}

IntakeStatus Intake::status() const {
  const MutexLock lock(state_->mutex);
  return state_->status;
}

}  // namespace notp::opa_log
