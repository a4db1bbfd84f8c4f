#include "notp-client/lane/core/lane_link.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

void LaneLink::on_connected(TimeMs boot_ms) {
  on_disconnected();
  is_connected_ = true;
  subscribe_ms_ = boot_ms;
}

void LaneLink::on_disconnected() {
  is_connected_ = is_stalled_ = false;
  awaited_ = 0;
  subscribe_ms_ = answer_ms_ = snapshot_ms_ = kNever;
  pause_ms_ = 0;
  granted_.reset();
}

void LaneLink::on_subscribed(TimeMs boot_ms) {
  ++awaited_;
  subscribe_ms_ = kNever;
  answer_ms_ = boot_ms + limits::kLaneAnswerMs;
}

bool LaneLink::on_state(const wire::LaneState& state, TimeMs boot_ms) {
  is_unsupported_ = false;
  if (awaited_ > 0 && --awaited_ > 0) return false;
  answer_ms_ = kNever;
  if (state.code == 0) {
    refusal_.reset();
    granted_ = wire::LanePosition{state.instance, state.grant, state.head};
    return true;
  }
  granted_.reset();
  snapshot_ms_ = kNever;
  refusal_ = Error{error_code_from_wire(state.code),
                   fmt::format("this node cannot follow the lane {}, says the registry: {}",
                               state.lane, state.message),
                   {}};
  if (error_traits(refusal_->code).action == ErrorAction::kRetry)
    subscribe_ms_ = boot_ms + limits::kLaneAgainMaxMs;
  return true;
}

bool LaneLink::again(TimeMs boot_ms) {
  if (!is_connected_ || subscribe_ms_ != kNever) return false;
  subscribe_ms_ = boot_ms + pause_ms_;
  again_ms_ = boot_ms;
  snapshot_ms_ = kNever;
  pause_ms_ = std::clamp(pause_ms_ * 2, limits::kLaneAgainFirstMs, limits::kLaneAgainMaxMs);
  return true;
}

void LaneLink::begin_again(TimeMs boot_ms) {
  again(boot_ms);
  pause_ms_ = 0;
  if (is_connected_) subscribe_ms_ = boot_ms;
}

void LaneLink::on_current(TimeMs boot_ms) {
  if (boot_ms >= again_ms_ + limits::kLaneAgainMaxMs) pause_ms_ = 0;
}

void LaneLink::resume(TimeMs boot_ms) {
  is_stalled_ = false;
  if (is_connected_) subscribe_ms_ = std::min(subscribe_ms_, boot_ms);
}

TimeMs LaneLink::next_deadline() const {
  if (!is_connected_) return kNever;
  return std::min({subscribe_ms_, answer_ms_, is_stalled_ ? kNever : snapshot_ms_});
}

std::optional<std::string> LaneLink::on_deadline(TimeMs boot_ms) {
  if (boot_ms >= answer_ms_) {
    answer_ms_ = kNever;
    is_unsupported_ = true;
    awaited_ = 0;
    subscribe_ms_ = boot_ms + limits::kLaneAgainMaxMs;
  }
  if (boot_ms < snapshot_ms_ || is_stalled_) return std::nullopt;
  snapshot_ms_ = kNever;
  again(boot_ms);
  return "a part of a snapshot did not come";
}

}  // namespace notp::lane
