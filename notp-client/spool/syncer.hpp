// Makes the ring durable: one fdatasync for all who wait, and one every sync_ms for the rest.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "common/mutex.hpp"
#include "notp-client/spool/log_tail.hpp"

namespace notp::spool {

struct SyncStatus {
  uint64_t syncs = 0, sync_us = 0;
};

// Thread-safe. Owns a thread.
class Syncer {
 public:
  // Both must outlive it; `wakeup` is the one that the tail signals.
  Syncer(LogTail& tail, Wakeup& wakeup, int64_t sync_ms);
  // Syncs once more.
  ~Syncer();

  // As DecisionLog::when_durable().
  void when_durable(record::Position position, std::function<void(Result<void>)> done);
  SyncStatus status() const;

 private:
  struct Waiter {
    record::Position position;
    std::function<void(Result<void>)> done;
  };

  void run();
  bool is_due(std::chrono::steady_clock::time_point last) const;
  // False: the ring is given up.
  bool sync();
  void complete(const Result<void>& result, record::Position below);
  // Tries until a new ring is durable, or the end comes.
  void replace_ring();

  LogTail& tail_;
  Wakeup& wakeup_;
  const std::chrono::milliseconds interval_;
  mutable Mutex mutex_;
  std::vector<Waiter> waiters_ NOTP_GUARDED_BY(mutex_);
  bool has_ended_ NOTP_GUARDED_BY(mutex_) = false;
  SyncStatus status_ NOTP_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace notp::spool
