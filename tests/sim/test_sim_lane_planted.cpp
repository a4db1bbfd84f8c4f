// A world of token lanes with a planted bug, which a patch below planted/ describes.
#include <doctest/doctest.h>

#include "tests/sim/lane_world.hpp"

TEST_CASE("lanes: the simulation finds the planted bug") {
  uint64_t found_at = 0;
  std::string violation;
  for (uint64_t seed = 1; seed <= 60 && found_at == 0; ++seed) {
    const auto verdict = notp::sim::run_lane_world({.seed = seed});
    if (verdict.violations.empty()) continue;
    found_at = seed;
    violation = verdict.violations.front();
  }
  CHECK(found_at != 0);
  MESSAGE("found: ", violation);
}
