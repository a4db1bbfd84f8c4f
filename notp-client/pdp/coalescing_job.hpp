// One job at a time on a pool; a newer job takes the place of one that still waits.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

namespace notp {

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
  // Drops what waits, waits for what runs; nothing runs after it.
  void close();

 private:
  struct State {
    std::mutex mutex;  // guards what follows
    std::condition_variable idle;
    std::function<void()> waiting;
    bool running = false;
    bool closed = false;
  };
  static void run(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
  boost::asio::thread_pool& pool_;
};

}  // namespace notp
