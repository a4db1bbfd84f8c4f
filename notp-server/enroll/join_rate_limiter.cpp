#include "notp-server/enroll/join_rate_limiter.hpp"

namespace notp::enroll {

bool JoinRateLimiter::is_blocked(const std::string& address, TimeMs now_boot_ms) const {
  const auto found = windows_.find(address);
  return found != windows_.end() && found->second.failures >= failures_max_ &&
         now_boot_ms - found->second.since_ms < limits::kJoinFailureWindowMs;
}

bool JoinRateLimiter::failed(const std::string& address, TimeMs now_boot_ms) {
  auto [found, is_new] = windows_.try_emplace(address, Window{now_boot_ms, 0});
  if (is_new) {
    order_.push_back(address);
    if (order_.size() > limits::kJoinAddressesMax) {
      windows_.erase(order_.front());
      order_.pop_front();
    }
  } else if (now_boot_ms - found->second.since_ms >= limits::kJoinFailureWindowMs) {
    found->second = {now_boot_ms, 0};
  }
  return ++found->second.failures == failures_max_;
}

}  // namespace notp::enroll
