// The keys of a token service under seeded randomness and virtual time.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/sim/key_world.hpp"

namespace notp::txn {
namespace {

uint64_t seeds() {
  const char* text = std::getenv("NOTP_SIM_SEEDS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 30;
}

struct Sums {
  uint64_t changes = 0, waited = 0, restarts = 0, removed = 0, revoked = 0, gaps = 0;
};

Sums run_seeds(const KeyFaults& faults) {
  Sums sums;
  for (uint64_t seed = 1; seed <= seeds(); ++seed) {
    KeyWorld world(seed, faults);
    world.run(20'000);
    world.settle();
    const std::string first = world.violations.empty() ? "" : world.violations.front();
    REQUIRE_MESSAGE(world.violations.empty(), "seed ", seed, ": ", first);
    sums.changes += world.changes;
    sums.waited += world.waited;
    sums.restarts += world.restarts;
    sums.removed += world.removed;
    sums.revoked += world.revoked;
    sums.gaps += world.gaps;
  }
  return sums;
}

TEST_CASE("a key signs when all nodes have it, and stays until its tokens end") {
  for (const bool lives_known : {false, true}) {
    const Sums sums = run_seeds({.lives_known = lives_known});
    // 7,000 s of virtual time with a rotation due each 40 s.
    CHECK(sums.changes > 100 * seeds());
    CHECK(sums.waited == 0);
    CHECK(sums.removed > 80 * seeds());
  }
}

TEST_CASE("kills, outages and clocks that jump make no key sign early, and none go early") {
  const Sums sums =
      run_seeds({.kills = true, .outages = true, .clocks = true, .lives_known = true});
  CHECK(sums.restarts > 5 * seeds());
  CHECK(sums.changes > 20 * seeds());
}

TEST_CASE("a node that refuses a release delays a key until its time is over") {
  const Sums sums = run_seeds({.outages = true, .rejecting = true});
  CHECK(sums.waited > 5 * seeds());
}

TEST_CASE("a revoked key never comes back") {
  for (const bool lives_known : {false, true}) {
    const Sums sums = run_seeds({.kills = true,
                                 .outages = true,
                                 .clocks = true,
                                 .revokes = true,
                                 .lives_known = lives_known});
    CHECK(sums.revoked > 5 * seeds());
  }
}

}  // namespace
}  // namespace notp::txn
