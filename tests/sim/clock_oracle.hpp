// What a node's trusted time must be, reckoned apart from TrustedClock by the definition alone: the
// latest of the wall clock, of what it was before moved on by the boot clock, and, after a restart,
// of what had become durable.
#pragma once

#include <algorithm>
#include <deque>
#include <utility>

#include "common/clock.hpp"

namespace notp::sim {

class ClockOracle {
 public:
  void boot(Now now, TimeMs durable_ms) {
    latest_ms_ = std::max(now.wall_ms, durable_ms);
    boot_ms_ = now.boot_ms;
    seen_ = {{boot_ms_, latest_ms_}};
  }
  // The node looked at its clocks.
  void look(Now now) {
    latest_ms_ = with_jumps(now);
    boot_ms_ = now.boot_ms;
    seen_.emplace_back(boot_ms_, latest_ms_);
  }
  // Trusted time, if the node has not looked at its wall clock since look().
  TimeMs steady(Now now) const { return latest_ms_ + (now.boot_ms - boot_ms_); }
  // Trusted time, if it looks now.
  TimeMs with_jumps(Now now) const { return std::max(steady(now), now.wall_ms); }
  // What the node knew so long ago in this life, and must have made durable since; 0: it lives for
  // less.
  TimeMs known_before(Now now, TimeMs ago_ms) {
    while (seen_.size() > 1 && seen_[1].first <= now.boot_ms - ago_ms) seen_.pop_front();
    return seen_.empty() || seen_.front().first > now.boot_ms - ago_ms ? 0 : seen_.front().second;
  }

 private:
  TimeMs latest_ms_ = 0, boot_ms_ = 0;
  std::deque<std::pair<TimeMs, TimeMs>> seen_;  // boot clock, trusted time
};

}  // namespace notp::sim
