// Time as an argument. Cores take Now; only shells read a clock (common/clock.cpp).
#pragma once

#include <cstdint>
#include <string>

namespace notp {

// Milliseconds. Wall time counts from 1970-01-01T00:00:00Z and may jump; boot time only grows, even
// while the machine sleeps (CLOCK_BOOTTIME).
using TimeMs = int64_t;
inline constexpr TimeMs kNever = INT64_MAX;

struct Now {
  TimeMs wall_ms = 0;
  TimeMs boot_ms = 0;
};

// Formats a point in wall time for people: "2026-07-01T12:00:00Z", without the milliseconds; "-"
// when it is outside of the calendar.
std::string utc_time(TimeMs wall_ms);

// Reads the machine's clocks. Thread-safe. Never called from a core.
Now read_clock();

}  // namespace notp
