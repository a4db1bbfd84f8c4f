#include "common/clock.hpp"

#include <fmt/format.h>
#include <time.h>

namespace notp {
namespace {

TimeMs read(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return static_cast<TimeMs>(at.tv_sec) * 1000 + at.tv_nsec / 1'000'000;
}

}  // namespace

std::string utc_time(TimeMs wall_ms) {
  const time_t seconds = wall_ms / 1000;
  tm utc{};
  if (::gmtime_r(&seconds, &utc) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

Now read_clock() { return {read(CLOCK_REALTIME), read(CLOCK_BOOTTIME)}; }

}  // namespace notp
