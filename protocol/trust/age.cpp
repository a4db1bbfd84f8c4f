#include "protocol/trust/age.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::trust {
namespace {

// Converts a publisher's seconds to milliseconds, limited so that a sum with an instant cannot
// overflow.
TimeMs span_ms(uint64_t seconds) {
  return static_cast<TimeMs>(std::min(seconds, limits::kHardSecondsMax)) * 1000;
}

// Limits an instant so that sums with it cannot overflow, whatever a clock or a stored mark says.
TimeMs in_calendar(TimeMs at_ms) { return std::clamp<TimeMs>(at_ms, 0, limits::kTimestampMsMax); }

}  // namespace

std::string_view freshness_state_name(FreshnessState state) {
  switch (state) {
    case FreshnessState::kUntracked:
      return "untracked";
    case FreshnessState::kFresh:
      return "fresh";
    case FreshnessState::kStale:
      return "stale";
    case FreshnessState::kExpired:
      return "expired";
  }
  return "unknown";
}

Age age_of(const FreshnessTerms& terms, TimeMs vouched_ms, TimeMs now_ms) {
  const TimeMs attested = in_calendar(vouched_ms);
  const TimeMs age_ms = std::max<TimeMs>(0, in_calendar(now_ms) - attested);
  const TimeMs fresh_ms = span_ms(terms.fresh_s), hard_ms = span_ms(terms.hard_s);
  if (age_ms > hard_ms) return {FreshnessState::kExpired, age_ms, kNever};
  if (age_ms > fresh_ms) return {FreshnessState::kStale, age_ms, attested + hard_ms + 1};
  return {FreshnessState::kFresh, age_ms, attested + std::min(fresh_ms, hard_ms) + 1};
}

bool needs_reactivation(const FreshnessStatus& reported, const FreshnessStatus& now) {
  if (reported.state != now.state || reported.withdrawn != now.withdrawn ||
      reported.withheld != now.withheld || reported.terms != now.terms)
    return true;
  constexpr TimeMs kPartsOfHard = 4;
  const TimeMs lag_ms = now.vouched_ms - reported.vouched_ms;
  return now.state != FreshnessState::kUntracked &&
         lag_ms * kPartsOfHard >= span_ms(now.terms.hard_s);
}

TrustedClock::TrustedClock(TimeMs high_water_ms, Now start)
    : latest_ms_(std::max(in_calendar(high_water_ms), in_calendar(start.wall_ms))),
      latest_boot_ms_(start.boot_ms) {}

TimeMs TrustedClock::now_ms(Now now) {
  const TimeMs elapsed = in_calendar(now.boot_ms - latest_boot_ms_);
  latest_ms_ = std::max(in_calendar(latest_ms_ + elapsed), in_calendar(now.wall_ms));
  latest_boot_ms_ = std::max(latest_boot_ms_, now.boot_ms);
  return latest_ms_;
}

void TrustedClock::set_back(TimeMs at_ms, Now now) {
  latest_ms_ = std::max(in_calendar(at_ms), in_calendar(now.wall_ms));
  latest_boot_ms_ = now.boot_ms;
}

TimeMs TrustedClock::boot_deadline_ms(TimeMs at_ms, Now now) {
  const TimeMs wait = at_ms - now_ms(now);
  if (at_ms == kNever) return kNever;
  return latest_boot_ms_ + std::max<TimeMs>(0, wait);
}

}  // namespace notp::trust
