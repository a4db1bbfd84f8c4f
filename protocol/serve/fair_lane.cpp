#include "protocol/serve/fair_lane.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "common/clock.hpp"

namespace notp::serve {
namespace {

TimeMs steady_ms() { return read_clock().boot_ms; }

}  // namespace

void FairLane::post(const std::string& key, Job job) {
  std::optional<FairQueue::Refused> refused;
  {
    const MutexLock lock(mutex_);
    if (is_closed_)
      refused.emplace(std::move(job), Error{ErrorCode::kCancelled, "the registry is stopping", {}});
    else
      refused = queue_.add(key, std::move(job), steady_ms());
  }
  if (refused) refused->job(std::unexpected(std::move(refused->error)));
  start_what_may();
}

void FairLane::close() {
  std::vector<Job> waiting;
  {
    const MutexLock lock(mutex_);
    is_closed_ = true;
    waiting = queue_.clear();
  }
  for (Job& job : waiting) job(fail(ErrorCode::kCancelled, "the registry is stopping"));
}

void FairLane::start_what_may() {
  for (;;) {
    std::optional<FairQueue::Next> next;
    {
      const MutexLock lock(mutex_);
      next = queue_.take();
    }
    if (!next) return;
    if (auto entered = pool_.enter(); !entered) {
      next->job(std::unexpected(std::move(entered).error()));
      const MutexLock lock(mutex_);
      queue_.done(next->key, 0, steady_ms());
      continue;
    }
    boost::asio::post(pool_.executor(),
                      [this, next = *std::move(next)]() mutable { run(std::move(next)); });
  }
}

void FairLane::run(FairQueue::Next next) {
  const TimeMs from_ms = steady_ms();
  std::exchange(next.job, nullptr)({});
  pool_.leave();
  {
    const MutexLock lock(mutex_);
    const TimeMs now_ms = steady_ms();
    queue_.done(next.key, now_ms - from_ms, now_ms);
  }
  start_what_may();
}

}  // namespace notp::serve
