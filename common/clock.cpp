#include "common/clock.hpp"

#include <time.h>

namespace notp {
namespace {

TimeMs read(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return static_cast<TimeMs>(at.tv_sec) * 1000 + at.tv_nsec / 1'000'000;
}

}  // namespace

Now read_clock() { return {read(CLOCK_REALTIME), read(CLOCK_BOOTTIME)}; }

}  // namespace notp
