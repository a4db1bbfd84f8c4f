// A lane of the registry: threads for one kind of work, shared fairly by identities.
#pragma once

#include <string>

#include "common/mutex.hpp"
#include "protocol/serve/fair_queue.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::serve {

// Thread-safe. Outlives its work: close() it, then join the pool.
class FairLane {
 public:
  using Job = FairQueue::Job;

  // `pool` outlives the lane; it has running_max threads, or is shared with other lanes.
  FairLane(transport::OffloadPool& pool, std::string what, FairLimits limits)
      : pool_(pool), queue_(std::move(what), limits) {}

  // Runs `job` on the pool when it is the key's turn. A refused job is called with kOverloaded, at
  // once or later when another job displaces it; with kCancelled by close(). It must not throw.
  void post(const std::string& key, Job job);
  // Takes no more work, and refuses waiting jobs.
  void close();

  size_t waiting() const {
    const MutexLock lock(mutex_);
    return queue_.waiting();
  }

 private:
  void start_what_may();
  void run(FairQueue::Next next);

  transport::OffloadPool& pool_;
  mutable Mutex mutex_;
  FairQueue queue_ NOTP_GUARDED_BY(mutex_);
  bool is_closed_ NOTP_GUARDED_BY(mutex_) = false;
};

// offload() in a lane: runs `work`, which returns a Result, when it is the key's turn.
template <typename Work>
  requires transport::ResultType<std::invoke_result_t<Work&>>
boost::asio::awaitable<std::invoke_result_t<Work&>> offload(FairLane& lane, std::string key,
                                                            Work work) {
  using Outcome = std::invoke_result_t<Work&>;
  namespace asio = boost::asio;
  auto start = [&lane](auto handler, const std::string& whose, Work moved) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    lane.post(whose, [handler = std::move(handler), home = std::move(home),
                      work = std::move(moved)](Result<void> turn) mutable {
      Outcome outcome = [&]() -> Outcome {
        if (!turn) return std::unexpected(std::move(turn).error());
        try {
          return work();
        } catch (...) {
          return std::unexpected(transport::error_of_current_exception());
        }
      }();
      asio::post(home.get_executor(),
                 [handler = std::move(handler), outcome = std::move(outcome)]() mutable {
                   handler(std::move(outcome));
                 });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(
      std::move(start), asio::use_awaitable, std::move(key), std::move(work));
}

}  // namespace notp::serve
