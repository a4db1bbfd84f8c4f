#include <doctest/doctest.h>

#include "tests/sim/world.hpp"

using notp::sim::run_world;
using notp::sim::Verdict;

TEST_CASE("a registry restored from a copy of before gets back what its nodes hold") {
  Verdict total;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Verdict verdict = run_world({.seed = seed, .agents = 5, .restores = true});
    CHECK_MESSAGE(verdict.violations.empty(), verdict.violations.front());
    total += verdict;
  }
  MESSAGE("lost ", total.lost, ", recovered ", total.recovered, ", not returned ",
          total.returns_refused);
  CHECK(total.lost > 50);
  CHECK(total.recovered > 50);
  CHECK(total.recovered <= total.lost);
}

TEST_CASE("the same restored world twice is the same") {
  const Verdict once = run_world({.seed = 4, .restores = true});
  const Verdict again = run_world({.seed = 4, .restores = true});
  CHECK(once.trace_hash == again.trace_hash);
}

TEST_CASE("without faults too") {
  const Verdict verdict = run_world({.seed = 3, .faults = false, .restores = true});
  CHECK(verdict.violations.empty());
  CHECK(verdict.recovered > 0);
  CHECK(verdict.returns_refused == 0);
}

TEST_CASE("a registry that publishes although it has lost releases is found out") {
  size_t found = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed)
    found +=
        run_world({.seed = seed, .restores = true, .publishes_while_lost = true}).violations.empty()
            ? 0
            : 1;
  CHECK(found > 10);
}
