// Runs one job at a time on a pool; a newer job replaces one that still waits.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>

#include "common/mutex.hpp"

namespace notp::pdp {

// Thread-safe. The pool must outlive it.
class CoalescingJob {
 public:
  explicit CoalescingJob(boost::asio::thread_pool& pool)
      : state_(std::make_shared<State>()), pool_(pool) {}
  CoalescingJob(const CoalescingJob&) = delete;
  CoalescingJob& operator=(const CoalescingJob&) = delete;
  ~CoalescingJob() { close(); }

  // Jobs must not throw.
  void submit(std::function<void()> job);
  // Drops the waiting job and waits for the running one; nothing runs afterwards.
  void close();

 private:
  struct State {
    Mutex mutex;
    ConditionVariable idle;
    std::function<void()> waiting NOTP_GUARDED_BY(mutex);
    bool running NOTP_GUARDED_BY(mutex) = false;
    bool closed NOTP_GUARDED_BY(mutex) = false;
  };
  static void run(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
  boost::asio::thread_pool& pool_;
};

}  // namespace notp::pdp
