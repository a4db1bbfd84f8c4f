// Linked with one planted bug in place of the correct code (CMakeLists.txt names it), to prove that
// the simulation finds it.
#include <doctest/doctest.h>

#include "tests/sim/key_world.hpp"

TEST_CASE("a planted bug is found within the seeds of the suite") {
  uint64_t found_at = 0;
  std::string found;
  for (uint64_t seed = 1; seed <= 60 && found_at == 0; ++seed)
    for (const bool lives_known : {false, true}) {
      notp::txn::KeyWorld world(seed, {.kills = true,
                                       .outages = true,
                                       .clocks = true,
                                       .revokes = true,
                                       .lives_known = lives_known});
      world.run(20'000);
      if (world.violations.empty()) continue;
      found_at = seed;
      found = world.violations.front();
      break;
    }
  CHECK(found_at != 0);
  MESSAGE("found with seed ", found_at, ": ", found);
}
