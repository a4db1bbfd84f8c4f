// Points in time as auditors write them, and as records are shown.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::cli {

inline constexpr int64_t kNanosecondsPerMs = 1'000'000;

// Parses "7d" (so long before `now_ms`, as parse_duration() reads it), an RFC 3339 time
// ("2026-07-01T12:00:00Z", "…:00.5+02:00"), or the start of a day in UTC ("2026-07-01"). Digits
// below a millisecond are cut. kUsage.
Result<TimeMs> parse_time(std::string_view text, TimeMs now_ms);

// "2026-07-01T12:00:00.000000001Z", as Go writes it: without zeros at the end.
std::string rfc3339_nanoseconds(int64_t time_ns);
// "2026-07-01 12:00:00.000", one width for a list.
std::string list_time(int64_t time_ns);

}  // namespace notp::cli
