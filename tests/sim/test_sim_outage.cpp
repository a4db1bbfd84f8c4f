// A fleet that loses its registry for a month, in virtual time. tests/unit/test_agent_age.cpp
// covers one node to the millisecond; this test covers a fleet with its store, its PDPs and the
// recovery.
#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

using notp::sim::run_world;
using notp::sim::Verdict;

TEST_CASE("thirty days without a registry: every node ages on time, and is fresh again after") {
  constexpr notp::TimeMs kDayMs = 24LL * 3600 * 1000;
  for (const uint64_t seed : {1, 2}) {
    const Verdict verdict = run_world({.seed = seed, .agents = 3, .outage_ms = 30 * kDayMs});
    for (const std::string& violation : verdict.violations) MESSAGE(violation);
    CHECK(verdict.violations.empty());
    // The first node keeps running: each of its two ledgers becomes stale once and expires once.
    CHECK(verdict.stale >= 2);
    CHECK(verdict.expired >= 2);
    CHECK(verdict.faults >= 2);
  }
}
