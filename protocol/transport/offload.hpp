// Runs blocking work away from the sessions' threads, on a bounded pool, and returns the results.
#pragma once

#include <atomic>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <concepts>

#include "common/limits.hpp"
#include "common/result.hpp"

namespace notp::transport {

// Thread-safe. Destroy it, or join() it, before the io_contexts whose coroutines wait for it: a
// result returns through their executors.
class OffloadPool {
 public:
  explicit OffloadPool(size_t threads, size_t queue_max = limits::kOffloadQueueMax);
  ~OffloadPool();
  // Waits until all accepted work is done.
  void join();
  // Queued and running work.
  size_t depth() const { return depth_.load(std::memory_order_relaxed); }

  // Reserves a place in the queue, which leave() releases; kOverloaded when it is full.
  Result<void> enter();
  void leave() { depth_.fetch_sub(1, std::memory_order_relaxed); }
  auto executor() { return pool_.get_executor(); }

 private:
  boost::asio::thread_pool pool_;
  const size_t queue_max_;
  std::atomic<size_t> depth_ = 0;
};

// Returns the Error for the exception in flight.
Error error_of_current_exception();

template <typename T>
concept ResultType =
    requires { typename T::value_type; } && std::same_as<T, Result<typename T::value_type>>;

// Runs `work`, which returns a Result, on the pool and resumes the caller on its own executor with
// the result. kOverloaded without running it when the queue is full; an exception of `work` becomes
// kInternal. Objects that `work` refers to must live until offload() returns.
template <typename Work>
  requires ResultType<std::invoke_result_t<Work&>>
boost::asio::awaitable<std::invoke_result_t<Work&>> offload(OffloadPool& pool, Work work) {
  using Outcome = std::invoke_result_t<Work&>;
  namespace asio = boost::asio;
  if (auto entered = pool.enter(); !entered) co_return std::unexpected(std::move(entered).error());
  // `co_await post(pool)` is not enough: the coroutine resumes on its own executor whatever runs
  // the handler. So the work is posted, and the handler returns separately.
  auto start = [&pool](auto handler, Work moved) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    asio::post(pool.executor(), [&pool, handler = std::move(handler), work = std::move(moved),
                                 home = std::move(home)]() mutable {
      Outcome outcome = [&]() -> Outcome {
        try {
          return work();
        } catch (...) {
          return std::unexpected(error_of_current_exception());
        }
      }();
      pool.leave();
      asio::post(home.get_executor(),
                 [handler = std::move(handler), outcome = std::move(outcome)]() mutable {
                   handler(std::move(outcome));
                 });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(
      std::move(start), asio::use_awaitable, std::move(work));
}

}  // namespace notp::transport
