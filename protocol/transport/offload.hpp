// Blocking work away from the sessions' threads: a bounded pool, and a way there and back.
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

namespace notp {

// Thread-safe. Destroy it, or join() it, before the io_contexts whose coroutines wait for it: a
// result finds its way back through their executors.
class OffloadPool {
 public:
  explicit OffloadPool(size_t threads, size_t queue_max = limits::kOffloadQueueMax);
  ~OffloadPool();
  // Waits until all accepted work is done.
  void join();
  // Work that is queued or runs.
  size_t depth() const { return depth_.load(std::memory_order_relaxed); }

  // Takes a place in the queue, to be given back by leave(); kOverloaded when there is none.
  Result<void> enter();
  void leave() { depth_.fetch_sub(1, std::memory_order_relaxed); }
  auto executor() { return pool_.get_executor(); }

 private:
  boost::asio::thread_pool pool_;
  const size_t queue_max_;
  std::atomic<size_t> depth_ = 0;
};

// The Error for the exception that is being handled.
Error error_of_current_exception();

template <typename T>
concept ResultType =
    requires { typename T::value_type; } && std::same_as<T, Result<typename T::value_type>>;

// Runs `work`, which returns a Result, on the pool and resumes the caller on its own executor with
// what it returned. kOverloaded without running it when the queue is full; an exception of `work`
// becomes kInternal. What `work` refers to must live until offload() returns.
template <typename Work>
  requires ResultType<std::invoke_result_t<Work&>>
boost::asio::awaitable<std::invoke_result_t<Work&>> offload(OffloadPool& pool, Work work) {
  using Outcome = std::invoke_result_t<Work&>;
  namespace asio = boost::asio;
  if (auto entered = pool.enter(); !entered) co_return std::unexpected(std::move(entered).error());
  // `co_await post(pool)` would not do: the coroutine resumes on its own executor whatever runs the
  // handler. So the work is posted, and the handler goes back by itself.
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

}  // namespace notp
