#include <doctest/doctest.h>

#include "tests/sim/lane_world.hpp"

using notp::sim::LaneVerdict;
using notp::sim::run_lane_world;

TEST_CASE("lanes: the same seed gives the same trace, another seed another one") {
  const LaneVerdict once = run_lane_world({.seed = 7, .minutes = 10});
  const LaneVerdict again = run_lane_world({.seed = 7, .minutes = 10});
  CHECK(once.trace_hash == again.trace_hash);
  CHECK(once.events == again.events);
  CHECK(once.trace_hash != run_lane_world({.seed = 8, .minutes = 10}).trace_hash);
}

TEST_CASE("lanes: a world has faults and meets what they cause: it would notice") {
  LaneVerdict total;
  for (uint64_t seed = 101; seed <= 114; ++seed) {
    const LaneVerdict verdict = run_lane_world({.seed = seed});
    CHECK(verdict.violations.empty());
    for (const std::string& violation : verdict.violations) MESSAGE(violation);
    total += verdict;
  }
  CHECK(total.kills() > 100);
  for (const char* what : {"kills of the registry", "kills of nodes", "kills of PDPs", "restores",
                           "naps", "clock jumps", "disk failed", "relay drops", "relay replays",
                           "follows again", "refused", "alarm", "swept"})
    CHECK_MESSAGE(total.count(what) > 0, std::string(what));
  CHECK(total.count("reports") > 2'000);
  CHECK(total.count("answers") > 2'000);
  CHECK(total.count("accepted") > 5'000);
  CHECK(total.count("denied") > 5'000);
}

TEST_CASE("lanes: without faults every node has everything") {
  const LaneVerdict verdict = run_lane_world({.seed = 3, .minutes = 15, .faults = false});
  CHECK(verdict.violations.empty());
  CHECK(verdict.kills() == 0);
  CHECK(verdict.count("accepted") > 500);
}
