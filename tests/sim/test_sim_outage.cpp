// A fleet that loses its registry for days or a month, in virtual time.
// tests/unit/test_agent_age.cpp covers one node to the millisecond; this test covers a fleet with
// its store, its PDPs and the recovery.
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

TEST_CASE("seventy-two hours without a registry: every decision of them arrives afterwards") {
  constexpr notp::TimeMs kHourMs = 3600 * 1000;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const Verdict verdict = run_world({.seed = seed, .agents = 4, .outage_ms = 72 * kHourMs});
    for (const std::string& violation : verdict.violations) MESSAGE(violation);
    CHECK(verdict.violations.empty());
    CHECK(verdict.decisions > 200);
    // No power cut of these worlds comes within 100 ms of a decision.
    CHECK(verdict.decisions_lost == 0);
    CHECK(verdict.records > verdict.decisions);
    CHECK(verdict.logs == 4);
    // While nobody takes them, records wait for a minute: far fewer segments than decisions.
    CHECK(verdict.segments > 40);
    CHECK(verdict.segments < verdict.decisions);
  }
}
