#include "tools/notp/mirror/mirror_schedule.hpp"

#include <algorithm>

namespace notp::cli {
namespace {

constexpr TimeMs kFirstMsMax = 1'000;
constexpr uint32_t kDoublingsMax = 16;

TimeMs jittered(TimeMs time_ms, double chance) {
  const TimeMs range = time_ms * kMirrorJitterPercent / 100;
  return time_ms - range + static_cast<TimeMs>(chance * static_cast<double>(2 * range));
}

}  // namespace

MirrorSchedule::MirrorSchedule(TimeMs interval_ms, TimeMs now_ms, double chance)
    : interval_ms_(interval_ms),
      next_ms_(now_ms + static_cast<TimeMs>(chance * static_cast<double>(kFirstMsMax))) {}

void MirrorSchedule::set_interval(TimeMs interval_ms) {
  next_ms_ = std::min(next_ms_, next_ms_ - interval_ms_ + interval_ms);
  interval_ms_ = interval_ms;
}

void MirrorSchedule::hint(TimeMs now_ms) {
  is_hinted_ = true;
  next_ms_ = std::min(next_ms_, std::max(now_ms, pause_ends_ms_));
}

void MirrorSchedule::started(TimeMs now_ms) {
  if (is_hinted_) pause_ends_ms_ = now_ms + kMirrorPauseMs;
  is_running_ = true;
  is_hinted_ = false;
  started_ms_ = now_ms;
}

TimeMs MirrorSchedule::after_failures() const {
  const TimeMs longest = std::max(interval_ms_, kMirrorBackoffMsMax);
  return std::min(longest, kMirrorPauseMs << std::min(failures_ - 1, kDoublingsMax));
}

void MirrorSchedule::ended(bool is_good, bool has_fetched, TimeMs now_ms, double chance) {
  is_running_ = false;
  if (has_fetched) pause_ends_ms_ = started_ms_ + kMirrorPauseMs;
  failures_ = is_good ? 0 : failures_ + 1;
  const TimeMs wait = jittered(is_good ? interval_ms_ : after_failures(), chance);
  next_ms_ = std::max(is_hinted_ ? now_ms : now_ms + wait, pause_ends_ms_);
}

TimeMs MirrorSchedule::next_ms() const { return is_running_ ? kNever : next_ms_; }

}  // namespace notp::cli
