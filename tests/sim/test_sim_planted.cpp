// Linked with one planted bug in place of the correct code (CMakeLists.txt names it), to prove that
// the simulation finds it.
#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

TEST_CASE("a planted bug is found within 10,000 seeds") {
  uint64_t found_at = 0;
  std::string violation;
  for (uint64_t seed = 1; seed <= 10'000 && found_at == 0; ++seed) {
    const auto verdict = notp::sim::run_world({.seed = seed});
    if (verdict.violations.empty()) continue;
    found_at = seed;
    violation = verdict.violations.front();
  }
  CHECK(found_at != 0);
  MESSAGE("found: ", violation);
}
