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

TEST_CASE("a world is the same whether what it computes is looked up or computed anew") {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const Verdict known = run_world({.seed = seed});
    const Verdict verified = run_world({.seed = seed, .ed25519 = true});
    CHECK(known.trace_hash == verified.trace_hash);
    CHECK(known.events == verified.events);
  }
}

TEST_CASE("a world has faults, attacks, age and refusals: it would notice") {
  Verdict total;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const Verdict verdict = run_world({.seed = seed});
    CHECK(verdict.violations.empty());
    total += verdict;
  }
  CHECK(total.faults > 100);
  CHECK(total.refused > 20);
  CHECK(total.activations > 1'000);
  CHECK(total.roots_walked > 200);
  CHECK(total.withdrawals > 5);
  CHECK(total.statements_accepted > 1'000);
  CHECK(total.stale > 50);
  CHECK(total.expired > 50);
  CHECK(total.inventories > 5);
  CHECK(total.repairs > 20);
  CHECK(total.parts > 20);
  CHECK(total.gates_held > 20);
  CHECK(total.gates_passed > 20);
  CHECK(total.gates_few > 20);
  CHECK(total.gates_released > 10);
  CHECK(total.sessions.size() == 12);
  CHECK(total.decisions > 500);
  CHECK(total.decisions_lost > 10);
  CHECK(total.decisions_lost < total.decisions / 4);
  CHECK(total.records > total.decisions);
  CHECK(total.segments > 200);
  CHECK(total.log_gaps > 10);
  CHECK(total.receipts > 200);
  CHECK(total.cosignatures > 150);
  CHECK(total.log_sessions.size() == 8);
  for (const char* code : {"clock", "denied", "equivocation", "expired", "log_fork", "log_gap",
                           "replay", "rollback", "signature"})
    CHECK_MESSAGE(total.alarms[code] > 0, code);
}

TEST_CASE("without faults every release goes everywhere") {
  const Verdict verdict = run_world({.seed = 3, .agents = 4, .publishes = 12, .faults = false});
  CHECK(verdict.violations.empty());
  CHECK(verdict.faults == 0);
  CHECK(verdict.statements_accepted > 0);
}

TEST_CASE("without faults every decision arrives, and no log has a gap or an end") {
  const Verdict verdict = run_world({.seed = 5, .faults = false});
  CHECK(verdict.violations.empty());
  CHECK(verdict.decisions > 20);
  CHECK(verdict.decisions_lost == 0);
  CHECK(verdict.records > verdict.decisions);
  CHECK(verdict.log_gaps == 0);
  CHECK(verdict.receipts > 10);
  CHECK(verdict.cosignatures > 10);
  CHECK(verdict.trees_refused == 0);
  CHECK(verdict.alarms.empty());
}
