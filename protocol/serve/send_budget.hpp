// Bounds the memory that the process holds for peers that have not taken it yet, over all sessions:
// waiting frames, and artifacts under way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "common/clock.hpp"
#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "protocol/model/tree.hpp"

namespace notp::serve {

struct SendLimits {
  size_t bytes = 256 << 20;  // waiting in queues or being written
  // Artifacts under way, each counted once however many sessions share it, cached or not. Fits the
  // largest artifact twice.
  uint64_t artifact_bytes = 2 * limits::kArtifactBytesMax;
  TimeMs grace_ms = 2'000;  // after which a session may be ended for another one
};

// Above a limit the sessions of the slowest readers end. Sessions that hold less than kSmallBytes
// are exempt: kSessionsMax of them stay below the limit. Thread-safe; outlives its accounts and
// contents.
class SendBudget {
 public:
  static constexpr size_t kSmallBytes = 4 << 10;

  explicit SendBudget(SendLimits limits = {}) : limits_(limits) {}

  // One session; one thread.
  class Account {
   public:
    // `end` ends the session; it is called on any thread, once, and must not wait for this thread.
    Account(SendBudget& budget, std::function<void()> end)
        : budget_(budget), end_(std::move(end)) {}
    ~Account() { budget_.set(*this, 0, 0, 0); }
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    // The session holds `holds` bytes, and its peer took `took` bytes since the last call.
    void set(size_t holds, size_t took, TimeMs now_boot_ms) {
      budget_.set(*this, holds, took, now_boot_ms);
    }

   private:
    friend class SendBudget;
    SendBudget& budget_;
    const std::function<void()> end_;
    // Guarded by the budget's mutex, except `busy`, which only the account's thread changes.
    bool busy = false;
    bool ended = false;
    size_t bytes = 0;
    uint64_t taken = 0;   // since then
    TimeMs since_ms = 0;  // it became busy
  };

  // Returns the same content for a transfer; its bytes count while the result lives. kOverloaded
  // when it does not fit: the session of a slow reader ends, and the caller may retry soon.
  Result<model::Content> hold(const model::Content& artifact, TimeMs now_boot_ms);

  struct Held {
    size_t bytes = 0;
    uint64_t artifact_bytes = 0;
  };
  Held held() const;

 private:
  struct Hold;

  void set(Account& account, size_t bytes, size_t taken, TimeMs now_boot_ms);
  // Ends the session of the slowest reader among those that have been busy for a while; false:
  // there is none.
  bool end_slowest(TimeMs now_boot_ms) NOTP_REQUIRES(mutex_);

  const SendLimits limits_;
  mutable Mutex mutex_;
  Held held_ NOTP_GUARDED_BY(mutex_);
  std::unordered_set<Account*> busy_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<const Bytes*, std::weak_ptr<Hold>> artifacts_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::serve
