// What a thread of the spool sleeps on.
#pragma once

#include "common/mutex.hpp"

namespace notp::spool {

// Thread-safe. A signal that comes while no thread waits is kept.
class Wakeup {
 public:
  void signal() {
    const MutexLock lock(mutex_);
    signalled_ = true;
    condition_.notify_one();
  }
  // For the end of the thread: every later wait returns at once.
  void stop() {
    const MutexLock lock(mutex_);
    stopped_ = true;
    condition_.notify_all();
  }
  bool is_stopped() {
    const MutexLock lock(mutex_);
    return stopped_;
  }
  // Returns at a signal, at the latest at `until`; false once it is stopped.
  bool wait_until(std::chrono::steady_clock::time_point until) {
    MutexLock lock(mutex_);
    while (!signalled_ && !stopped_ &&
           condition_.wait_until(lock, until) == std::cv_status::no_timeout)
      continue;
    signalled_ = false;
    return !stopped_;
  }

 private:
  Mutex mutex_;
  ConditionVariable condition_;
  bool signalled_ NOTP_GUARDED_BY(mutex_) = false;
  bool stopped_ NOTP_GUARDED_BY(mutex_) = false;
};

}  // namespace notp::spool
