// Who shows wrong join tokens too often waits: guessing a secret is hopeless anyway, but it shall
// not fill logs and take the processor.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/limits.hpp"

namespace notp {

// Counts wrong tokens by address, in windows of kJoinFailureWindowMs. A connection that ends before
// it shows one, as a health check's, counts for nothing. Pure; one thread.
class JoinRateLimiter {
 public:
  explicit JoinRateLimiter(size_t failures_max = limits::kJoinFailuresMax)
      : failures_max_(failures_max) {}

  bool is_blocked(const std::string& address, TimeMs now_boot_ms) const;
  // Whether the address is blocked from now on, and was not before.
  bool failed(const std::string& address, TimeMs now_boot_ms);

 private:
  struct Window {
    TimeMs since_ms = 0;
    size_t failures = 0;
  };

  const size_t failures_max_;
  std::unordered_map<std::string, Window> windows_;
  std::deque<std::string> order_;  // oldest window first: the first to be forgotten
};

}  // namespace notp
