// A registry that lies about decision records: each lie is refused by the nodes whose receipts show
// it, or found by an auditor; and an honest registry is blamed for nothing.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/sim/audit_verify.hpp"
#include "tests/sim/world.hpp"

namespace notp::sim {
namespace {

constexpr uint64_t kSeeds = 40;

struct Told {
  uint64_t worlds = 0;  // in which the registry could lie
  Verdict total;
  std::string first;  // how it was noticed the first time
};

// Each world in which the registry lied is noticed in one of these ways.
Told tell(TreeAttack attack, uint64_t first_seed, const std::vector<std::string>& ways) {
  Told told;
  for (uint64_t seed = first_seed; seed < first_seed + kSeeds; ++seed) {
    const Verdict verdict =
        run_world({.seed = seed, .agents = 4, .tree_attack = attack, .verify = verify_audit});
    CAPTURE(seed);
    for (const std::string& violation : verdict.violations) FAIL_CHECK(violation);
    told.total += verdict;
    if (verdict.attack_noticed.empty()) continue;
    if (++told.worlds == 1) told.first = verdict.attack_noticed;
    const bool is_named = std::ranges::any_of(
        ways, [&](const std::string& way) { return verdict.attack_noticed.contains(way); });
    CHECK_MESSAGE(is_named, verdict.attack_noticed);
  }
  MESSAGE(fmt::format("{}: noticed in {} worlds; {} receipts, {} cosigned, {} refused; {}",
                      tree_attack_name(attack), told.worlds, told.total.receipts,
                      told.total.cosignatures, told.total.trees_refused, told.first));
  return told;
}

}  // namespace

TEST_CASE("nodes cosign the tree of an honest registry, and an auditor finds it whole") {
  const Told told = tell(TreeAttack::kControl, 1, {});
  CHECK(told.worlds == 0);
  CHECK(told.total.receipts > 20 * kSeeds);
  CHECK(told.total.cosignatures > 15 * kSeeds);
  CHECK(told.total.trees_refused == 0);
  CHECK(!told.total.alarms.contains("registry_split"));
}

TEST_CASE("store and tree are put back to a backup: the nodes refuse the tree") {
  const Told told = tell(TreeAttack::kRollBack, 1'000,
                         {"refused: the registry's tree", "refused: the registry shows two trees"});
  CHECK(told.worlds > kSeeds / 2);
  CHECK(told.total.trees_refused >= told.worlds);
}

TEST_CASE("the tree shrinks and grows again: the nodes refuse it") {
  const Told told =
      tell(TreeAttack::kShrink, 2'000,
           {"shrank from", "is not shown to go on from", "the registry shows two trees"});
  CHECK(told.worlds > kSeeds / 2);
}

TEST_CASE("a leaf has another root than the node's checkpoint: the node refuses it") {
  const Told told = tell(TreeAttack::kOtherRoot, 3'000, {"is not shown to have this node's"});
  CHECK(told.worlds > kSeeds / 2);
}

TEST_CASE("another tree takes the place of the one that is known: the nodes refuse it") {
  const Told told = tell(TreeAttack::kOtherKey, 4'000, {"the registry has begun another tree"});
  CHECK(told.worlds > kSeeds / 2);
}

TEST_CASE("an old receipt comes again: the node refuses it") {
  const Told told = tell(TreeAttack::kReplay, 5'000, {"shrank from"});
  CHECK(told.worlds > kSeeds / 2);
}

TEST_CASE("checkpoints never become leaves: the node says that it has no receipt") {
  const Told told = tell(TreeAttack::kLeaveOut, 6'000, {"overdue: the registry has acknowledged"});
  CHECK(told.worlds > kSeeds / 2);
  CHECK(told.total.trees_refused == 0);
}

TEST_CASE("two trees of one key: an auditor finds what the nodes of the other one keep") {
  const Told told =
      tell(TreeAttack::kFork, 7'000,
           {"found: the registry's tree was rewritten", "found: the registry's tree has shrunk"});
  CHECK(told.worlds > kSeeds / 2);
}

TEST_CASE("what is missing in the store or changed there is found by an auditor") {
  const auto find = [](TreeAttack attack, uint64_t seed, const std::vector<std::string>& ways) {
    CHECK(tell(attack, seed, ways).worlds > kSeeds / 2);
  };
  SUBCASE("a segment") {
    find(TreeAttack::kDropSegment, 8'000, {"found: the segment of record 0 cannot be had"});
  }
  SUBCASE("the end of a log") { find(TreeAttack::kDropEnd, 9'000, {"found: "}); }
  SUBCASE("a log") { find(TreeAttack::kDropLog, 10'000, {"is missing"}); }
  SUBCASE("a record, with the node's key") {
    find(TreeAttack::kRewrite, 11'000, {"found: the registry's tree has the root"});
  }
  SUBCASE("the records of two logs") { find(TreeAttack::kSwap, 12'000, {"found: "}); }
  SUBCASE("a body that no statement says was deleted") {
    find(TreeAttack::kDeleteSilently, 13'000, {"found: record 0 is missing"});
  }
}

}  // namespace notp::sim
