#include <doctest/doctest.h>

#include "tests/sim/delegation_world.hpp"

using notp::sim::DelegationVerdict;
using notp::sim::run_delegation_world;

TEST_CASE("delegations: the same seed gives the same trace, another seed another one") {
  const DelegationVerdict once = run_delegation_world({.seed = 7, .delegations = 60});
  const DelegationVerdict again = run_delegation_world({.seed = 7, .delegations = 60});
  CHECK(once.trace_hash == again.trace_hash);
  CHECK(once.events == again.events);
  CHECK(once.trace_hash != run_delegation_world({.seed = 8, .delegations = 60}).trace_hash);
}

TEST_CASE("delegations: a world has faults and meets what they cause: it would notice") {
  DelegationVerdict total;
  for (uint64_t seed = 101; seed <= 104; ++seed) {
    const DelegationVerdict verdict = run_delegation_world({.seed = seed});
    CHECK(verdict.violations.empty());
    for (const std::string& violation : verdict.violations) MESSAGE(violation);
    total += verdict;
  }
  CHECK(total.count("kills of the service") > 20);
  CHECK(total.count("uses of grants") > 500);
  for (const char* what : {"kills of workloads",
                           "clock jumps",
                           "lost answers",
                           "repeated",
                           "thefts",
                           "careless answers",
                           "revoked transactions",
                           "revoked users",
                           "marked transactions",
                           "refused: grant_used",
                           "refused: grant_digest",
                           "refused: grant_not_for_client",
                           "refused: grant_scope",
                           "refused: bad_delegate",
                           "refused: grant_unknown",
                           "refused: subject_typ",
                           "refused: subject_revoked",
                           "refused: lane_stale",
                           "refused: policy_broken",
                           "refused: subject_time",
                           "refused: subject_expired"})
    CHECK_MESSAGE(total.count(what) > 0, std::string(what));
}

TEST_CASE("delegations: without faults each comes to its end") {
  const DelegationVerdict verdict =
      run_delegation_world({.seed = 3, .delegations = 100, .faults = false});
  CHECK(verdict.violations.empty());
  CHECK(verdict.kills() == 0);
  CHECK(verdict.count("refused: policy_broken") == 0);
  CHECK(verdict.count("repeated") == 0);
}
