#include "notp-client/spool/syncer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/failpoint.hpp"
#include "common/log.hpp"

namespace notp::spool {
namespace {

using std::chrono::steady_clock;

constexpr auto kRetryInterval = std::chrono::seconds(1);

std::unexpected<Error> not_durable(std::string_view why) {
  return fail(ErrorCode::kAuditUnavailable,
              fmt::format("a decision is not given, because its record may not be durable: {}: "
                          "look at the disk that holds the spool",
                          why));
}

}  // namespace

Syncer::Syncer(LogTail& tail, Wakeup& wakeup, int64_t sync_ms)
    : tail_(tail), wakeup_(wakeup), interval_(sync_ms), thread_([this] { run(); }) {}

Syncer::~Syncer() {
  wakeup_.stop();
  thread_.join();
}

void Syncer::when_durable(record::Position position, std::function<void(Result<void>)> done) {
  if (position < tail_.synced()) return done({});
  std::string_view why;
  if (tail_.is_sync_failed()) why = "a sync of the ring failed";
  {
    const MutexLock lock(mutex_);
    if (has_ended_) why = "the agent is stopping";
    if (why.empty()) waiters_.push_back({position, std::move(done)});
  }
  if (!why.empty()) return done(not_durable(why));
  wakeup_.signal();
}

SyncStatus Syncer::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

bool Syncer::is_due(steady_clock::time_point last) const {
  {
    const MutexLock lock(mutex_);
    if (!waiters_.empty()) return true;
  }
  return tail_.unsynced() >= limits::kRingSyncRecords || steady_clock::now() >= last + interval_;
}

void Syncer::run() {
  auto last = steady_clock::now();
  while (true) {
    // Without a new record there is nothing to do until the tail signals the first one.
    const bool is_new = tail_.unsynced() != 0;
    const bool go_on =
        wakeup_.wait_until(is_new ? last + interval_ : steady_clock::now() + std::chrono::hours(1));
    if (go_on && !is_due(last)) continue;
    if (!sync()) replace_ring();
    last = steady_clock::now();
    if (!go_on) break;
  }
  {
    const MutexLock lock(mutex_);
    has_ended_ = true;
  }
  complete(not_durable("the agent is stopping"), UINT64_MAX);
}

bool Syncer::sync() {
  const auto due = tail_.begin_sync();
  if (!due) {
    complete({}, tail_.synced());
    return true;
  }
  const auto begin = steady_clock::now();
  Result<void> done = due->ring->write_header(due->header);
  if (done) done = due->ring->sync();
  failpoint("spool.after_sync");
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - begin);
  if (!done) {
    log::write(log::Level::kError, "spool_sync_failed", done.error());
    tail_.sync_failed(done.error().message);
    complete(not_durable(done.error().message), UINT64_MAX);
    return false;
  }
  tail_.sync_succeeded(*due);
  {
    const MutexLock lock(mutex_);
    ++status_.syncs;
    status_.sync_us += static_cast<uint64_t>(took.count());
  }
  complete({}, due->header.written);
  return true;
}

void Syncer::complete(const Result<void>& result, record::Position below) {
  std::vector<Waiter> done;
  {
    const MutexLock lock(mutex_);
    const auto waits = std::ranges::partition(
        waiters_, [&](const Waiter& waiter) { return waiter.position >= below; });
    std::ranges::move(waits, std::back_inserter(done));
    waiters_.erase(waits.begin(), waits.end());
  }
  for (const Waiter& waiter : done) waiter.done(result);
}

void Syncer::replace_ring() {
  while (true) {
    const auto replaced = tail_.replace_ring();
    if (replaced) break;
    tail_.sync_failed(replaced.error().message);
    complete(not_durable(replaced.error().message), UINT64_MAX);
    // A signal ends the wait early, so that it takes the time that it should.
    const auto until = steady_clock::now() + kRetryInterval;
    while (steady_clock::now() < until)
      if (!wakeup_.wait_until(until)) return;
  }
  log::info("spool_ring_replaced");
  complete({}, tail_.synced());
}

}  // namespace notp::spool
