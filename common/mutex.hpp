// Mutexes whose use clang checks at compile time (-Wthread-safety): a member names the mutex that
// guards it, a function the mutexes that its caller holds. Other compilers see plain mutexes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define NOTP_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define NOTP_THREAD_ATTRIBUTE(x)
#endif

// On a member: it is read and written with `mutex` held.
#define NOTP_GUARDED_BY(mutex) NOTP_THREAD_ATTRIBUTE(guarded_by(mutex))
// On a function: its caller holds the mutexes, a SharedMutex as its writer.
#define NOTP_REQUIRES(...) NOTP_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
// On a mutex: it is taken after another one. Clang checks this with -Wthread-safety-beta alone.
#define NOTP_ACQUIRED_AFTER(...) NOTP_THREAD_ATTRIBUTE(acquired_after(__VA_ARGS__))

namespace notp {

// Locked by MutexLock alone.
class NOTP_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
  friend class MutexLock;
  std::mutex mutex_;
};

class NOTP_THREAD_ATTRIBUTE(capability("mutex")) RecursiveMutex {
 public:
  void lock() NOTP_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() NOTP_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  std::recursive_mutex mutex_;
};

// Many readers or one writer.
class NOTP_THREAD_ATTRIBUTE(capability("mutex")) SharedMutex {
 public:
  void lock() NOTP_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() NOTP_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  void lock_shared() NOTP_THREAD_ATTRIBUTE(acquire_shared_capability()) { mutex_.lock_shared(); }
  void unlock_shared() NOTP_THREAD_ATTRIBUTE(release_shared_capability()) {
    mutex_.unlock_shared();
  }

 private:
  std::shared_mutex mutex_;
};

// Holds a mutex during its lifetime, except between its unlock() and its lock().
class NOTP_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) NOTP_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : lock_(mutex.mutex_) {}
  ~MutexLock() NOTP_THREAD_ATTRIBUTE(release_capability()) {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() NOTP_THREAD_ATTRIBUTE(release_capability()) { lock_.unlock(); }
  void lock() NOTP_THREAD_ATTRIBUTE(acquire_capability()) { lock_.lock(); }

 private:
  friend class ConditionVariable;
  std::unique_lock<std::mutex> lock_;
};

class NOTP_THREAD_ATTRIBUTE(scoped_lockable) RecursiveLock {
 public:
  explicit RecursiveLock(RecursiveMutex& mutex) NOTP_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~RecursiveLock() NOTP_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  RecursiveLock(const RecursiveLock&) = delete;
  RecursiveLock& operator=(const RecursiveLock&) = delete;

 private:
  RecursiveMutex& mutex_;
};

class NOTP_THREAD_ATTRIBUTE(scoped_lockable) WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) NOTP_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~WriterLock() NOTP_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class NOTP_THREAD_ATTRIBUTE(scoped_lockable) ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) NOTP_THREAD_ATTRIBUTE(acquire_shared_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReaderLock() NOTP_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

// Waits with a MutexLock, which is held again when a wait returns. A wait may return early: callers
// check their condition in a loop.
class ConditionVariable {
 public:
  void wait(MutexLock& lock) { condition_.wait(lock.lock_); }
  template <typename Clock, typename Duration>
  std::cv_status wait_until(MutexLock& lock, std::chrono::time_point<Clock, Duration> deadline) {
    return condition_.wait_until(lock.lock_, deadline);
  }
  template <typename Rep, typename Period>
  std::cv_status wait_for(MutexLock& lock, std::chrono::duration<Rep, Period> time) {
    return condition_.wait_for(lock.lock_, time);
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace notp
