// Bounds what all HTTP servers of a process hold at once: connections, and bytes of request bodies
// and of answers that wait for slow readers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <unordered_set>

#include "common/clock.hpp"
#include "common/limits.hpp"
#include "common/mutex.hpp"

namespace notp::http {

// The activity of a connection.
enum class Phase : uint8_t {
  kHandshake,  // of TLS
  kIdle,       // no byte of a request has arrived
  kHeader,
  kBody,
  kAnswering,  // the handler runs
  kWriting,
  kClosing,  // sends no more, and waits for the client to notice
  kEvicted,  // for others, or after its deadline
};

// A connection in the view of its server's clock and of the other servers. Thread-safe.
class Slot {
 public:
  // `close` is called once, from any thread, when the slot is evicted; it must not call the slot.
  explicit Slot(std::function<void()> close) : close_(std::move(close)) {}

  // False when the connection has been evicted and must end. Times are Now::boot_ms.
  bool enter(Phase phase, TimeMs now_ms, TimeMs deadline_ms);
  // Stays in the phase, in which the client has kept up until `since_ms`.
  void progress(TimeMs since_ms, TimeMs deadline_ms);
  // False when it is in another phase now.
  bool evict(Phase from);

  Phase phase() const { return phase_.load(); }
  TimeMs since_ms() const { return since_ms_.load(std::memory_order_relaxed); }
  TimeMs deadline_ms() const { return deadline_ms_.load(std::memory_order_relaxed); }
  uint64_t bytes_held() const { return bytes_held_.load(); }

 private:
  friend class Admission;

  const std::function<void()> close_;
  std::atomic<Phase> phase_ = Phase::kIdle;
  std::atomic<TimeMs> since_ms_ = 0;          // end of the time in which it has kept up
  std::atomic<TimeMs> deadline_ms_ = kNever;  // eviction time without further progress
  std::atomic<uint64_t> bytes_held_ = 0;
};
using SlotPtr = std::shared_ptr<Slot>;

struct AdmissionOptions {
  size_t connections_max = limits::kHttpConnectionsMax;
  // For bodies and answers above kHttpSmallBytes; smaller ones are not counted.
  uint64_t bytes_max = limits::kHttpHeldBytesMax;
  // A client that lags by this much in its body or its answer may be dropped for another.
  int64_t stalled_ms = limits::kHttpStalledMs;
};

// Shared by servers. Thread-safe.
class Admission {
 public:
  explicit Admission(const AdmissionOptions& options = {})
      : options_(options), bytes_max_(options.bytes_max) {}

  // Takes a place for a connection. When all are taken, it evicts the connection that has been idle
  // for longest, else the one that is longest at its handshake or header, else the one that has
  // stalled for longest in its body or its answer: never one whose handler runs. False when there
  // is none of these: the caller closes the new one.
  bool admit(const SlotPtr& slot, TimeMs now_ms);
  void leave(const SlotPtr& slot);
  // Ends the most dispensable connection: for a process that is out of descriptors.
  bool evict_one(TimeMs now_ms);

  // Counts bytes that the connection holds. When too many are held, it evicts those that have
  // stalled for longest; false when that is not enough.
  bool hold(Slot& slot, uint64_t bytes, TimeMs now_ms);
  // Releases all that the connection holds.
  void release(Slot& slot);

  void set_options(const AdmissionOptions& options);
  size_t connections() const;
  uint64_t bytes_held() const { return held_.load(); }
  uint64_t evicted_total() const { return evicted_.load(); }

 private:
  bool evict(TimeMs now_ms) NOTP_REQUIRES(mutex_);
  bool evict_longest(std::initializer_list<Phase> phases, TimeMs before_ms, uint64_t bytes_min)
      NOTP_REQUIRES(mutex_);
  bool fits(Slot& slot, uint64_t bytes);

  mutable Mutex mutex_;
  AdmissionOptions options_ NOTP_GUARDED_BY(mutex_);
  std::unordered_set<SlotPtr> slots_ NOTP_GUARDED_BY(mutex_);

  std::atomic<uint64_t> bytes_max_;
  std::atomic<uint64_t> held_ = 0;
  std::atomic<uint64_t> evicted_ = 0;
};

}  // namespace notp::http
