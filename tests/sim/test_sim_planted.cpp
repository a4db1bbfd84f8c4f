// Linked against a verify_release() that skips the floor check.
#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

TEST_CASE("an agent that skips the floor check is found within 100 seeds") {
  uint64_t found_at = 0;
  for (uint64_t seed = 1; seed <= 100 && found_at == 0; ++seed)
    if (!notp::sim::run_world({.seed = seed}).violations.empty()) found_at = seed;
  CHECK(found_at != 0);
  MESSAGE("found at seed ", found_at);
}
