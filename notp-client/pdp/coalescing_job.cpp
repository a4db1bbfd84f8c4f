#include "notp-client/pdp/coalescing_job.hpp"

#include <boost/asio/post.hpp>
#include <utility>

namespace notp::pdp {

void CoalescingJob::submit(std::function<void()> job) {
  {
    const MutexLock lock(state_->mutex);
    if (state_->closed) return;
    std::swap(state_->waiting, job);
    if (std::exchange(state_->running, true)) return;
  }
  boost::asio::post(pool_, [state = state_] { run(state); });
}

void CoalescingJob::run(const std::shared_ptr<State>& state) {
  while (true) {
    std::function<void()> job;
    {
      const MutexLock lock(state->mutex);
      std::swap(job, state->waiting);
      if (!job) {
        state->running = false;
        state->idle.notify_all();
        return;
      }
    }
    job();
  }
}

void CoalescingJob::close() {
  std::function<void()> dropped;  // destroyed outside of the lock
  MutexLock lock(state_->mutex);
  state_->closed = true;
  std::swap(dropped, state_->waiting);
  while (state_->running) state_->idle.wait(lock);
}

}  // namespace notp::pdp
