#include "notp-client/spool/sealer.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "notp-client/spool/wall_clock.hpp"

namespace notp::spool {
namespace {

using std::chrono::steady_clock;

constexpr auto kDropsInterval = std::chrono::seconds(1);
constexpr auto kRetryInterval = std::chrono::seconds(1);
// For segments that have been kept long enough.
constexpr auto kRemovalInterval = std::chrono::minutes(1);
constexpr int64_t kNsPerMs = 1'000'000;

}  // namespace

Sealer::Sealer(LogTail& tail, DropCounts& drops, SegmentTable& table, LogState state,
               PrivateKey key, SealerOptions options, Wakeup& wakeup)
    : tail_(tail),
      drops_(drops),
      table_(table),
      options_(std::move(options)),
      key_(std::move(key)),
      wakeup_(wakeup),
      state_(std::move(state)) {
  view_ = {record::LogId::of(key_.public_key()), state_.kept.size(), state_.tree.size(),
           state_.tree.root(), state_.announcement};
  requests_.acknowledged = state_.acknowledged;
  status_.sealed = state_.tree.size();
  status_.acknowledged = state_.acknowledged;
  if (const auto totals = table_.totals(state_.acknowledged)) {
    status_.unacknowledged_bytes = totals->unacknowledged_bytes;
    status_.oldest_ms = totals->oldest_ms;
  }
  tail_.set_unacknowledged_bytes(status_.unacknowledged_bytes);
  thread_ = std::thread([this] { run(); });
}

Sealer::~Sealer() {
  wakeup_.stop();
  thread_.join();
}

SealedLog Sealer::sealed() const {
  const MutexLock lock(mutex_);
  SealedLog out = view_;
  out.acknowledged = status_.acknowledged;
  out.oldest_ms = status_.oldest_ms;
  return out;
}

void Sealer::acknowledged(record::Position next) {
  requests_.acknowledged = std::min(next, sealed().size);
  wakeup_.signal();
}

void Sealer::connected(bool is_connected) {
  requests_.is_connected = is_connected;
  wakeup_.signal();
}

void Sealer::on_sealed(std::function<void()> sealed) {
  const MutexLock lock(mutex_);
  on_sealed_ = std::move(sealed);
}

void Sealer::set_node(std::string node) {
  {
    const MutexLock lock(requests_.mutex);
    requests_.node = std::move(node);
  }
  wakeup_.signal();
}

Result<void> Sealer::seal_now() {
  MutexLock lock(requests_.mutex);
  const uint64_t ticket = ++requests_.wanted;
  wakeup_.signal();
  while (requests_.served < ticket && !requests_.has_ended) requests_.done.wait(lock);
  if (requests_.served < ticket)
    return fail(ErrorCode::kCancelled, "the spool was closed before it could seal");
  return requests_.result;
}

SealerStatus Sealer::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

void Sealer::run() {
  announce();
  do work();
  while (wakeup_.wait_until(next_deadline()));
  const MutexLock lock(requests_.mutex);
  requests_.has_ended = true;
  requests_.done.notify_all();
}

void Sealer::work() {
  uint64_t ticket = 0;
  bool is_asked = false;
  {
    const MutexLock lock(requests_.mutex);
    ticket = requests_.wanted;
    is_asked = ticket > requests_.served;
    if (state_.node.empty()) state_.node = requests_.node;
  }
  if (is_asked || steady_clock::now() >= timing_.next_drops) write_drops();
  tail_.record_unrecorded();
  Result<void> done = take_acknowledged();
  const auto sealed = seal_due(is_asked ? tail_.next() : 0);
  if (done) done = sealed;
  report(done);
  if (!is_asked) return;
  const MutexLock lock(requests_.mutex);
  requests_.served = ticket;
  requests_.result = sealed;
  requests_.done.notify_all();
}

Sealer::TimePoint Sealer::next_deadline() const {
  const auto now = steady_clock::now();
  TimePoint deadline = now + kRemovalInterval;
  if (timing_.retry > now) deadline = std::min(deadline, timing_.retry);
  if (tail_.has_unrecorded()) deadline = std::min(deadline, now + kRetryInterval);
  if (drops_.has_counts()) deadline = std::min(deadline, timing_.next_drops);
  if (timing_.oldest_seen && !state_.node.empty() && timing_.retry <= now) {
    const int64_t wait_ms =
        requests_.is_connected ? options_.spool.seal_connected_ms : options_.spool.seal_offline_ms;
    deadline = std::min(deadline, *timing_.oldest_seen + std::chrono::milliseconds(wait_ms));
  }
  return deadline;
}

bool Sealer::is_seal_due() const {
  const auto now = steady_clock::now();
  if (state_.node.empty() || now < timing_.retry) return false;
  if (tail_.is_segment_full()) return true;
  const int64_t wait_ms =
      requests_.is_connected ? options_.spool.seal_connected_ms : options_.spool.seal_offline_ms;
  return timing_.oldest_seen && now >= *timing_.oldest_seen + std::chrono::milliseconds(wait_ms);
}

Result<void> Sealer::seal_due(record::Position all_below) {
  if (tail_.next() > state_.tree.size() && !timing_.oldest_seen)
    timing_.oldest_seen = steady_clock::now();
  if (state_.node.empty() && state_.tree.size() < all_below)
    return fail(ErrorCode::kState,
                "records cannot be sealed before the node has a certificate: they wait in the ring "
                "of its spool");
  while (is_seal_due() || state_.tree.size() < all_below) {
    NOTP_ASSIGN(const bool is_sealed, seal());
    if (!is_sealed) break;
  }
  return {};
}

Result<bool> Sealer::seal() {
  write_drops();
  std::vector<UnsealedPtr> records = tail_.oldest();
  timing_.oldest_seen.reset();
  if (records.empty()) return false;
  LogState next = state_;
  NOTP_ASSIGN(const SealedSegment sealed, build(records, next.tree));
  const record::SegmentHead& head = sealed.segment.head;
  const Unsealed& last = *records.at(head.count - 1);
  next.live = last.after;
  next.ended = last.kind == record::Kind::kRunEnd;
  failpoint("spool.before_commit");
  NOTP_TRY(table_.add(sealed, next));
  failpoint("spool.after_commit");
  state_ = std::move(next);
  timing_.retry = {};
  tail_.release(head.end());
  failpoint("spool.after_free");
  if (tail_.next() > head.end()) timing_.oldest_seen = steady_clock::now();
  count_sealed(sealed);
  NOTP_TRY(drop_bodies());
  tail_.record_unrecorded();
  announce();
  std::function<void()> callback;
  {
    const MutexLock lock(mutex_);
    callback = on_sealed_;
  }
  if (callback) callback();
  return true;
}

Result<SealedSegment> Sealer::build(const std::vector<UnsealedPtr>& records,
                                    record::Frontier& tree) {
  record::SegmentBuilder builder(tree.size(), random_bytes(record::kSegmentSecretBytes));
  size_t bytes = 0;
  for (const UnsealedPtr& record : records) bytes += record->record().size();
  builder.expect(records.size(), std::min(bytes, limits::kSegmentContentBytesMax));
  for (const UnsealedPtr& record : records) {
    if (builder.is_full_for(record->record().size())) break;
    builder.add(record->record());
  }
  std::vector<Hash> subtrees = record::subtrees(builder.first(), builder.leaves());
  NOTP_TRY(tree.extend(builder.count(), subtrees));
  const record::LogId log = record::LogId::of(key_.public_key());
  SealedSegment out;
  NOTP_ASSIGN(out.segment,
              std::move(builder).seal(log, tree, record::log_origin(state_.node, log), key_));
  out.segment.subtrees = std::move(subtrees);
  out.gaps = static_cast<uint32_t>(
      std::ranges::count_if(std::span(records).first(out.segment.head.count),
                            [](const auto& each) { return each->kind == record::Kind::kGap; }));
  out.oldest_ms = records.front()->time_ns / kNsPerMs;
  out.sealed_ms = read_clock().wall_ms;
  return out;
}

void Sealer::count_sealed(const SealedSegment& sealed) {
  const MutexLock lock(mutex_);
  view_.size = state_.tree.size();
  view_.root = state_.tree.root();
  status_.sealed = state_.tree.size();
  status_.unacknowledged_bytes += sealed.segment.body.size();
  if (status_.oldest_ms == 0) status_.oldest_ms = sealed.oldest_ms;
  set_used();
}

// While bodies must go, there is no room for a record that may not be lost.
void Sealer::set_used() {
  const uint64_t bytes = status_.unacknowledged_bytes;
  tail_.set_unacknowledged_bytes(status_.is_dropping ? std::max(bytes, options_.spool.spool_bytes)
                                                     : bytes);
}

void Sealer::write_drops() {
  timing_.next_drops = steady_clock::now() + kDropsInterval;
  drops_.write([&](const record::Dropped& counts) { return tail_.append_own(counts).has_value(); });
}

// Without a certificate yet, the next seal tries again.
void Sealer::announce() {
  if (!options_.signer || state_.node.empty() || !state_.announcement.empty()) return;
  const auto signer = options_.signer();
  if (!signer) return;
  const auto announcement =
      record::sign_announcement({state_.trust_domain, state_.node, key_.public_key(),
                                 state_.created_ms, state_.previous, state_.reason},
                                *signer);
  if (!announcement) {
    log::write(log::Level::kWarn, "spool_announcement_failed", announcement.error());
    return;
  }
  LogState next = state_;
  next.announcement = *announcement;
  const auto saved = table_.save(next);
  if (!saved) return report(saved);
  state_ = std::move(next);
  const MutexLock lock(mutex_);
  view_.announcement = state_.announcement;
}

Result<void> Sealer::drop_bodies() {
  if (options_.spool.when_full != WhenFull::kDropOldest) return {};
  while (status().unacknowledged_bytes > options_.spool.spool_bytes) {
    NOTP_ASSIGN(const auto dropped, table_.drop_oldest_body(state_.acknowledged));
    if (!dropped) break;
    if (dropped->gaps != 0) log::warn("spool_gap_records_dropped", {{"records", dropped->gaps}});
    const MutexLock lock(mutex_);
    status_.unacknowledged_bytes -= std::min(status_.unacknowledged_bytes, dropped->bytes);
    status_.bodies_dropped += dropped->count;
    status_.is_dropping = true;
    set_used();
  }
  return {};
}

Result<void> Sealer::take_acknowledged() {
  const auto now = steady_clock::now();
  // What is deleted cannot be sent again.
  const record::Position acknowledged =
      std::max<record::Position>(requests_.acknowledged, state_.kept.size());
  if (now < timing_.retry || (acknowledged == state_.acknowledged && now < timing_.next_removal))
    return {};
  LogState next = state_;
  next.acknowledged = acknowledged;
  bool is_more = true;
  while (is_more) {
    NOTP_ASSIGN(is_more, table_.remove_acknowledged(next, removal_terms()));
    state_ = next;
  }
  failpoint("spool.after_ack");
  timing_.retry = {};
  NOTP_ASSIGN(const TableTotals totals, table_.totals(state_.acknowledged));
  timing_.next_removal = now + kRemovalInterval;
  record::Position before = state_.acknowledged;
  {
    const MutexLock lock(mutex_);
    view_.first = state_.kept.size();
    if (state_.acknowledged > status_.acknowledged) status_.is_dropping = false;
    std::swap(status_.acknowledged, before);
    status_.unacknowledged_bytes = totals.unacknowledged_bytes;
    status_.oldest_ms = totals.oldest_ms;
    set_used();
  }
  if (acknowledged >= before) return {};
  // What it has lost counts into the budget again.
  log::warn("spool_registry_went_back", {{"log", record::LogId::of(key_.public_key()).hex()},
                                         {"acknowledged", before},
                                         {"acknowledged_now", acknowledged}});
  return drop_bodies();
}

// What a refused registry has acknowledged without a receipt may be all that is left of it: it has
// the room that the budget leaves.
RemovalTerms Sealer::removal_terms() const {
  const uint64_t unacknowledged = status().unacknowledged_bytes;
  return {.sealed_before = read_clock().wall_ms - limits::kSpoolKeptMs,
          .bytes_max = limits::kSpoolKeptBytes,
          .evidence_from = options_.free_below(UINT64_MAX),
          .evidence_bytes_max =
              options_.spool.spool_bytes - std::min(options_.spool.spool_bytes, unacknowledged)};
}

void Sealer::report(const Result<void>& done) {
  const bool is_waiting = !done && done.error().code == ErrorCode::kState;
  if (!done && !is_waiting) timing_.retry = steady_clock::now() + kRetryInterval;
  const MutexLock lock(mutex_);
  if (done && steady_clock::now() < timing_.retry) return;  // nothing was tried
  const std::string trouble = done ? std::string() : done.error().message;
  if (trouble != status_.trouble && !done && !is_waiting)
    log::write(log::Level::kError, "spool_seal_failed", done.error());
  status_.trouble = trouble;
  status_.is_failing = !done && !is_waiting;
}

}  // namespace notp::spool
