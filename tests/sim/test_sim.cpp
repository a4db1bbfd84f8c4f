#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

using notp::sim::run_world;
using notp::sim::Verdict;
using notp::sim::WorldOptions;

TEST_CASE("the same seed gives the same trace, another seed another one") {
  for (uint64_t seed : {7, 8, 9}) {
    const Verdict once = run_world({.seed = seed});
    const Verdict again = run_world({.seed = seed});
    CHECK(once.trace_hash == again.trace_hash);
    CHECK(once.events == again.events);
    CHECK(once.trace_hash != run_world({.seed = seed + 100}).trace_hash);
  }
}

TEST_CASE("a world has faults, refusals and activations: it would notice") {
  uint64_t faults = 0, refused = 0, activations = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Verdict verdict = run_world({.seed = seed});
    faults += verdict.faults;
    refused += verdict.refused;
    activations += verdict.activations;
  }
  CHECK(faults > 100);
  CHECK(refused > 20);
  CHECK(activations > 1'000);
}

TEST_CASE("without faults every release goes everywhere") {
  const Verdict verdict = run_world({.seed = 3, .agents = 4, .publishes = 12, .faults = false});
  CHECK(verdict.violations.empty());
  CHECK(verdict.faults == 0);
  CHECK(verdict.refused == 0);
}
