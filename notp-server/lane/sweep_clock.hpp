// Until when what has ended may be removed. Pure. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/clock.hpp"
#include "notp-server/lane/lane_limits.hpp"

namespace notp::lane {

// A wall clock that jumps ahead would end every revocation for good. So removal follows it by
// kSweepAheadMs at most, and believes it once it has stayed there for kSweepTrustMs.
class SweepClock {
 public:
  explicit SweepClock(Now start) : believed_(start) {}

  // Returns a Unix time in seconds. `now` goes forward by the boot clock.
  int64_t until_s(Now now) {
    const TimeMs passed_ms = now.boot_ms - believed_.boot_ms;
    const TimeMs until_ms = std::min(now.wall_ms, believed_.wall_ms + passed_ms + kSweepAheadMs);
    if (passed_ms >= kSweepTrustMs || now.wall_ms < believed_.wall_ms) believed_ = now;
    constexpr TimeMs kSecondMs = 1'000;
    return until_ms / kSecondMs;
  }

 private:
  Now believed_;
};

}  // namespace notp::lane
