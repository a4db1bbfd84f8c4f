// Makes segments of the records in the ring, and keeps the segments within their budget.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "common/mutex.hpp"
#include "notp-client/spool/drop_counts.hpp"
#include "notp-client/spool/log_tail.hpp"
#include "notp-client/spool/segment_source.hpp"
#include "notp-client/spool/segment_table.hpp"
#include "protocol/record/announcement.hpp"

namespace notp::spool {

struct SealerOptions {
  SpoolOptions spool;
  std::function<Result<record::AnnouncementSigner>()> signer;  // empty: nothing is announced
  // As ReceiptBook::free_below(); on the sealer's thread.
  std::function<record::Position(record::Position acknowledged)> free_below;
};

struct SealerStatus {
  record::Position sealed = 0, acknowledged = 0;
  uint64_t unacknowledged_bytes = 0;
  TimeMs oldest_ms = 0;         // of the oldest sealed record that is not acknowledged; 0: none
  uint64_t bodies_dropped = 0;  // records in them
  bool is_dropping = false;     // since the last acknowledgement
  bool is_failing = false;      // the disk took no segment
  std::string trouble;          // empty: none
};

// Thread-safe. Owns a thread.
class Sealer {
 public:
  // All that it refers to must outlive it; `wakeup` is the one that the tail signals.
  Sealer(LogTail& tail, DropCounts& drops, SegmentTable& table, LogState state, PrivateKey key,
         SealerOptions options, Wakeup& wakeup);
  ~Sealer();

  SealedLog sealed() const;
  // As SegmentSource::acknowledged().
  void acknowledged(record::Position next);
  void connected(bool is_connected);
  void on_sealed(std::function<void()> sealed);
  // The node's SPIFFE id became known. A second one is ignored.
  void set_node(std::string node);
  // Seals all that was written before the call. kState: the node's name is not known yet.
  Result<void> seal_now();
  SealerStatus status() const;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  // What others ask of the thread.
  struct Requests {
    std::atomic<bool> is_connected = false;
    std::atomic<record::Position> acknowledged = 0;  // the registry's latest word
    Mutex mutex;
    ConditionVariable done;
    uint64_t wanted NOTP_GUARDED_BY(mutex) = 0, served NOTP_GUARDED_BY(mutex) = 0;
    Result<void> result NOTP_GUARDED_BY(mutex);  // of the last one served
    std::string node NOTP_GUARDED_BY(mutex);
    bool has_ended NOTP_GUARDED_BY(mutex) = false;
  };
  // The thread's own.
  struct Timing {
    std::optional<TimePoint> oldest_seen;  // when the oldest unsealed record was first seen
    TimePoint next_drops, retry, next_removal;
  };

  void run();
  // What the thread does after each wakeup.
  void work();
  TimePoint next_deadline() const;
  bool is_seal_due() const;
  // Makes segments while they are due, or up to `all_below`.
  Result<void> seal_due(record::Position all_below);
  // Makes one segment of the oldest records; false: there are none.
  Result<bool> seal();
  Result<SealedSegment> build(const std::vector<UnsealedPtr>& records, record::Frontier& tree);
  void count_sealed(const SealedSegment& sealed);
  void set_used() NOTP_REQUIRES(mutex_);
  void write_drops();
  void announce();
  Result<void> drop_bodies();
  Result<void> take_acknowledged();
  RemovalTerms removal_terms() const;
  void report(const Result<void>& done);

  LogTail& tail_;
  DropCounts& drops_;
  SegmentTable& table_;
  const SealerOptions options_;
  const PrivateKey key_;
  Wakeup& wakeup_;
  LogState state_;  // the thread's
  Timing timing_;
  Requests requests_;
  mutable Mutex mutex_;
  SealedLog view_ NOTP_GUARDED_BY(mutex_);
  SealerStatus status_ NOTP_GUARDED_BY(mutex_);
  std::function<void()> on_sealed_ NOTP_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace notp::spool
