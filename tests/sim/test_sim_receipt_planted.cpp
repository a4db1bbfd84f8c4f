// As test_sim_planted.cpp, for bugs that only a registry that lies about its tree meets.
#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

TEST_CASE("a planted bug is found within 1,000 seeds") {
  uint64_t found_at = 0;
  std::string violation;
  for (uint64_t seed = 1; seed <= 1'000 && found_at == 0; ++seed) {
    constexpr auto kFirst = static_cast<uint64_t>(notp::sim::TreeAttack::kControl);
    const auto attack =
        static_cast<notp::sim::TreeAttack>(kFirst + seed % (notp::sim::kTreeAttacks - kFirst));
    const auto verdict = notp::sim::run_world({.seed = seed, .agents = 4, .tree_attack = attack});
    if (verdict.violations.empty()) continue;
    found_at = seed;
    violation = verdict.violations.front();
  }
  CHECK(found_at != 0);
  MESSAGE("found: ", violation);
}
