// Linked with one planted bug in place of the correct code (CMakeLists.txt names it), to prove that
// the simulation finds it.
#include <doctest/doctest.h>

#include "tests/sim/rego_world.hpp"

TEST_CASE("a planted bug is found within the seeds of the suite") {
  uint64_t found_at = 0;
  std::string found;
  for (uint64_t seed = 1; seed <= 150 && found_at == 0; ++seed)
    for (const auto& mix : notp::rego::world_mixes()) {
      notp::rego::RegoWorld world(seed, mix.faults);
      world.run(1'500);
      if (world.violations.empty()) continue;
      found_at = seed;
      found = mix.name + ": " + world.violations.front();
      break;
    }
  CHECK(found_at != 0);
  MESSAGE("found with seed ", found_at, ": ", found);
}
