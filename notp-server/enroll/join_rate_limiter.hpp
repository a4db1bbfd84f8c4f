// Delays addresses that present wrong join tokens too often. Guessing a secret is infeasible, but
// attempts must not fill logs or take the processor.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/limits.hpp"

namespace notp::enroll {

// Counts wrong tokens by address, in windows of kJoinFailureWindowMs. A connection that ends before
// it presents a token, such as a health check's, does not count. Pure; one thread.
class JoinRateLimiter {
 public:
  explicit JoinRateLimiter(size_t failures_max = limits::kJoinFailuresMax)
      : failures_max_(failures_max) {}

  bool is_blocked(const std::string& address, TimeMs now_boot_ms) const;
  // Returns whether the address becomes blocked with this failure.
  bool failed(const std::string& address, TimeMs now_boot_ms);

 private:
  struct Window {
    TimeMs since_ms = 0;
    size_t failures = 0;
  };

  const size_t failures_max_;
  std::unordered_map<std::string, Window> windows_;
  std::deque<std::string> order_;  // oldest window first: the first to be dropped
};

}  // namespace notp::enroll
