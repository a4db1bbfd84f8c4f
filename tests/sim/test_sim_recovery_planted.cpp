// As test_sim_planted.cpp, for bugs that only a registry that has lost releases meets.
#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

TEST_CASE("a planted bug is found within 10,000 seeds") {
  uint64_t found_at = 0;
  std::string violation;
  for (uint64_t seed = 1; seed <= 10'000 && found_at == 0; ++seed) {
    const auto verdict = notp::sim::run_world({.seed = seed, .restores = true});
    if (verdict.violations.empty()) continue;
    found_at = seed;
    violation = verdict.violations.front();
  }
  CHECK(found_at != 0);
  MESSAGE("found: ", violation);
}
