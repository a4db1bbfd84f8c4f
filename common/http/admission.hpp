// How much all HTTP servers of a process hold at once: connections, and bytes of request bodies and
// of answers that wait for slow readers.
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

// What a connection is doing.
enum class Phase : uint8_t {
  kHandshake,  // of TLS
  kIdle,       // no byte of a request has come
  kHeader,
  kBody,
  kAnswering,  // the handler runs
  kWriting,
  kClosing,  // says nothing more, and waits for the client to see it
  kEvicted,  // for others, or because its time was up
};

// A connection as its server's clock and the other servers see it. Thread-safe.
class Slot {
 public:
  // `close` is called once, from any thread, when the slot is evicted; it must not come back here.
  explicit Slot(std::function<void()> close) : close_(std::move(close)) {}

  // False when the connection has been evicted and is to end. Times are of Now::boot_ms.
  bool enter(Phase phase, TimeMs now_ms, TimeMs deadline_ms);
  // The same phase, in which the client has kept up until then.
  void progress(TimeMs since_ms, TimeMs deadline_ms);
  // False when it is in another phase by now.
  bool evict(Phase from);

  Phase phase() const { return phase_.load(); }
  TimeMs since_ms() const { return since_ms_.load(std::memory_order_relaxed); }
  TimeMs deadline_ms() const { return deadline_ms_.load(std::memory_order_relaxed); }
  uint64_t bytes_held() const { return bytes_held_.load(); }

 private:
  friend class Admission;

  const std::function<void()> close_;
  std::atomic<Phase> phase_ = Phase::kIdle;
  std::atomic<TimeMs> since_ms_ = 0;          // until when it has kept up
  std::atomic<TimeMs> deadline_ms_ = kNever;  // when it is evicted without further progress
  std::atomic<uint64_t> bytes_held_ = 0;
};
using SlotPtr = std::shared_ptr<Slot>;

struct AdmissionOptions {
  size_t connections_max = limits::kHttpConnectionsMax;
  // Of bodies and answers above kHttpSmallBytes; what is smaller is not counted.
  uint64_t bytes_max = limits::kHttpHeldBytesMax;
  // A client that has fallen behind by so much in its body or its answer may be dropped for
  // another.
  int64_t stalled_ms = limits::kHttpStalledMs;
};

// Shared by servers. Thread-safe.
class Admission {
 public:
  explicit Admission(const AdmissionOptions& options = {})
      : options_(options), bytes_max_(options.bytes_max) {}

  // Takes a place for a connection. When all are taken, the one that has been idle for longest
  // loses its place, else the one that is longest at its handshake or header, else the one that has
  // stalled for longest in its body or its answer: never one whose handler runs. False when there
  // is none of these: the new one is to be closed.
  bool admit(const SlotPtr& slot, TimeMs now_ms);
  void leave(const SlotPtr& slot);
  // Ends the connection that can best be missed: for a process that is out of descriptors.
  bool evict_one(TimeMs now_ms);

  // Counts bytes that the connection holds. When too many are held, those that have stalled for
  // longest with theirs are evicted; false when that is not enough.
  bool hold(Slot& slot, uint64_t bytes, TimeMs now_ms);
  // All that the connection holds.
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
