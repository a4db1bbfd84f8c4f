#include "notp-client/agent/core/dial_plan.hpp"

#include "common/assert.hpp"

namespace notp::agent {

DialPlan::DialPlan(TimeMs backoff_first_ms, TimeMs backoff_max_ms, Random& random, TimeMs boot_ms)
    : random_(random), backoff_(backoff_first_ms, backoff_max_ms), connect_at_ms_(boot_ms) {}

bool DialPlan::start_if_due(TimeMs boot_ms) {
  if (phase_ != Phase::kWaiting || boot_ms < connect_at_ms_) return false;
  phase_ = Phase::kDialling;
  return true;
}

void DialPlan::on_connected() {
  NOTP_ASSERT(phase_ == Phase::kDialling, "one connection at a time");
  phase_ = Phase::kConnected;
  retry_after_ms_ = 0;
  is_welcomed_ = is_rejected_ = false;
}

void DialPlan::on_connect_failed(const Error& error, DialFailure failure, TimeMs boot_ms) {
  last_error_ = error.message;
  if (failure != DialFailure::kPortClosed || boot_ms >= quick_until_ms_) return wait(boot_ms, 0);
  phase_ = Phase::kWaiting;
  connect_at_ms_ = boot_ms + backoff_.within(random_, kClosedPortWaitMs);
}

void DialPlan::on_welcomed() {
  is_welcomed_ = true;
  if (!is_suspect_) backoff_.reset();
  last_error_.clear();
}

void DialPlan::on_closed(const Error& error, TimeMs retry_after_ms) {
  last_error_ = error.message;
  retry_after_ms_ = retry_after_ms;
}

void DialPlan::on_disconnected(const Error* why, TimeMs boot_ms) {
  NOTP_ASSERT(phase_ == Phase::kConnected, "a session ends once");
  if (why) last_error_ = why->message;
  quick_until_ms_ = is_welcomed_ && !is_suspect_ ? boot_ms + kClosedPortForMs : 0;
  wait(boot_ms, retry_after_ms_);
}

void DialPlan::wait(TimeMs boot_ms, TimeMs retry_after_ms) {
  phase_ = Phase::kWaiting;
  connect_at_ms_ = boot_ms + backoff_.next(random_, retry_after_ms);
}

}  // namespace notp::agent
