// Decides when a mirror is looked at next: pure.
#pragma once

#include <cstdint>

#include "common/clock.hpp"

namespace notp::cli {

// Upstream is fetched from, and looked at for webhooks, at most once in this time.
inline constexpr TimeMs kMirrorPauseMs = 5'000;
// The interval is this much longer or shorter, by chance.
inline constexpr int64_t kMirrorJitterPercent = 10;
// After failures the time doubles from kMirrorPauseMs up to this, or to the interval if it is
// longer.
inline constexpr TimeMs kMirrorBackoffMsMax = 300'000;

// Times are of a clock that never goes back (Now::boot_ms). Random values are 0 to 1.
class MirrorSchedule {
 public:
  // The first pass starts within a second from `now_ms`, so that many mirrors do not start at once.
  MirrorSchedule(TimeMs interval_ms, TimeMs now_ms, double chance);

  // The interval may have changed.
  void set_interval(TimeMs interval_ms);
  // A hint that upstream may have moved: as soon as kMirrorPauseMs allows, also if a pass is under
  // way, which may have asked before. A look at the interval that found nothing new delays no hint.
  void hint(TimeMs now_ms);
  void started(TimeMs now_ms);
  void ended(bool is_good, bool has_fetched, TimeMs now_ms, double chance);

  // kNever while a pass is under way.
  TimeMs next_ms() const;
  bool is_due(TimeMs now_ms) const { return next_ms() <= now_ms; }
  uint32_t failures() const { return failures_; }

 private:
  TimeMs after_failures() const;

  TimeMs interval_ms_;
  TimeMs next_ms_;
  TimeMs started_ms_ = 0;
  TimeMs pause_ends_ms_ = 0;
  uint32_t failures_ = 0;  // one after the other
  bool is_running_ = false, is_hinted_ = false;
};

}  // namespace notp::cli
