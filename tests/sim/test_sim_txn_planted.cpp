// A world of delegations with a planted bug, which a patch below planted/ describes.
#include <doctest/doctest.h>

#include "tests/sim/delegation_world.hpp"

TEST_CASE("delegations: the simulation finds the planted bug") {
  uint64_t found_at = 0;
  std::string violation;
  for (uint64_t seed = 1; seed <= 20 && found_at == 0; ++seed) {
    const auto verdict = notp::sim::run_delegation_world({.seed = seed});
    if (verdict.violations.empty()) continue;
    found_at = seed;
    violation = verdict.violations.front();
  }
  CHECK(found_at != 0);
  MESSAGE("found: ", violation);
}
