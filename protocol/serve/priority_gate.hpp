// Holds background work back while urgent work is under way.
#pragma once

#include <atomic>
#include <cstdint>

namespace notp::serve {

// Thread-safe and lock-free: a thread of the lowest priority that held a lock would delay others.
class PriorityGate {
 public:
  // Urgent work begins; urgent work ends.
  void begin_urgent() { state_.fetch_add(1); }
  void end_urgent() {
    state_.fetch_sub(1);
    state_.notify_all();
  }
  // Whether no urgent work is under way.
  bool is_open() const { return (state_.load() & kUrgent) == 0; }

  // Cancels the running work: its go_on() returns false until renew().
  void drop() { set(kDropped); }
  void renew() { state_.fetch_and(~kDropped); }
  // Like drop(), for all future work.
  void stop() { set(kStopped); }

  // Called by the work between its steps: blocks while urgent work is under way. False: end now.
  bool go_on() const {
    for (;;) {
      const uint32_t state = state_.load();
      if ((state & (kStopped | kDropped)) != 0) return false;
      if (state == 0) return true;
      state_.wait(state);
    }
  }

 private:
  static constexpr uint32_t kStopped = 1U << 31;
  static constexpr uint32_t kDropped = 1U << 30;
  static constexpr uint32_t kUrgent = kDropped - 1;  // count of urgent work

  void set(uint32_t flag) {
    state_.fetch_or(flag);
    state_.notify_all();
  }

  std::atomic<uint32_t> state_{0};
};

}  // namespace notp::serve
