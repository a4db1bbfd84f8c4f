// Computes a node's expected trusted time independently of TrustedClock, from the definition: the
// latest of the wall clock, the previous value advanced by the boot clock, and, after a restart,
// the durable value.
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
  // The node read its clocks.
  void look(Now now) {
    latest_ms_ = with_jumps(now);
    boot_ms_ = now.boot_ms;
    seen_.emplace_back(boot_ms_, latest_ms_);
  }
  // Trusted time, if the node has not read its wall clock since look().
  TimeMs steady(Now now) const { return latest_ms_ + (now.boot_ms - boot_ms_); }
  // Trusted time, if it reads its clocks now.
  TimeMs with_jumps(Now now) const { return std::max(steady(now), now.wall_ms); }
  // The value that the node had this long ago in this life, and must have made durable since; 0:
  // this life is shorter.
  TimeMs known_before(Now now, TimeMs ago_ms) {
    while (seen_.size() > 1 && seen_[1].first <= now.boot_ms - ago_ms) seen_.pop_front();
    return seen_.empty() || seen_.front().first > now.boot_ms - ago_ms ? 0 : seen_.front().second;
  }

 private:
  TimeMs latest_ms_ = 0, boot_ms_ = 0;
  std::deque<std::pair<TimeMs, TimeMs>> seen_;  // boot clock, trusted time
};

}  // namespace notp::sim
