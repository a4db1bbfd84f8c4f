// What the process holds for peers that have not taken it yet, over all sessions: frames that wait,
// and artifacts that are on their way.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "common/clock.hpp"
#include "common/limits.hpp"
#include "protocol/model/tree.hpp"

namespace notp {

struct SendLimits {
  size_t bytes = 256 << 20;  // that wait in queues or are being written
  // Of artifacts under way, each once however many sessions share it, in the cache or not. Room for
  // the largest one and as much again.
  uint64_t artifact_bytes = 2 * limits::kArtifactBytesMax;
  TimeMs grace_ms = 2'000;  // after which a session may be ended for another one
};

// Above a limit the sessions of the slowest readers end. Sessions that hold less than kSmallBytes
// are not looked at: kSessionsMax of them stay below the limit by themselves. Thread-safe; outlives
// its accounts and contents.
class SendBudget {
 public:
  static constexpr size_t kSmallBytes = 4 << 10;

  explicit SendBudget(SendLimits limits = {}) : limits_(limits) {}

  // One session; one thread.
  class Account {
   public:
    // `end` ends the session; it is called on any thread, once, and must not wait for this one.
    Account(SendBudget& budget, std::function<void()> end)
        : budget_(budget), end_(std::move(end)) {}
    ~Account() { budget_.set(*this, 0, 0, 0); }
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    // It holds so many bytes, and its peer took so many since the last call.
    void set(size_t holds, size_t took, TimeMs now_boot_ms) {
      budget_.set(*this, holds, took, now_boot_ms);
    }

   private:
    friend class SendBudget;
    SendBudget& budget_;
    const std::function<void()> end_;
    // Guarded by the budget's mutex, but for `busy`, which the account's thread alone changes.
    bool busy = false;
    bool ended = false;
    size_t bytes = 0;
    uint64_t taken = 0;   // since then
    TimeMs since_ms = 0;  // it became busy
  };

  // The same content for a transfer; while what is returned lives, its bytes count. kOverloaded
  // when there is no room: a slow reader ends, and the caller may ask again soon.
  Result<Content> hold(const Content& artifact, TimeMs now_boot_ms);

  struct Held {
    size_t bytes = 0;
    uint64_t artifact_bytes = 0;
  };
  Held held() const;

 private:
  struct Hold;

  void set(Account& account, size_t bytes, size_t taken, TimeMs now_boot_ms);
  // Ends the session of the slowest reader among those that are busy for a while; false: none is.
  // Under mutex_.
  bool end_slowest(TimeMs now_boot_ms);

  const SendLimits limits_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Held held_;
  std::unordered_set<Account*> busy_;
  std::unordered_map<const Bytes*, std::weak_ptr<Hold>> artifacts_;
};

}  // namespace notp
