// Logs that two copies of something tell differently: a registry that is put back to an old backup,
// a node that is cloned (test_e2e_decisions_new_log.cpp has one that is put back).
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/faked_clock.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr int kExitDiffers = 1, kExitGaps = 3;

void copy_folder(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

std::set<int64_t> all_amounts(AuditSite& site) {
  std::set<int64_t> out;
  for (const auto& [log, amounts] : site.recorded_amounts())
    out.insert(amounts.begin(), amounts.end());
  return out;
}

// The faults of a log that `notp decisions verify` names, by code.
std::set<std::string> faults_of(const json::value& report, const std::string& log) {
  std::set<std::string> out;
  for (const json::value& each : at(report, "logs").as_array())
    if (text_at(each, "log") == log)
      for (const json::value& fault : at(each, "faults").as_array())
        out.insert(text_at(fault, "code"));
  return out;
}

// --- the registry

struct RestoredRegistry {
  AuditSite site;
  const FakedClock clock{site.stack.file("clock")};
  Agent& agent = site.start_agent({.name = "edge-1", .environment = clock.environment()});

  void ask(int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) REQUIRE(site.ask(agent, first + i));
    REQUIRE(wait_until([&] { return site.has_all(); }));
  }
  fs::path audit() const { return site.stack.file("registry.data/audit"); }
  fs::path backup() const { return site.stack.file("audit.backup"); }
  void back_up() {
    CHECK(site.stack.stop_registry() == 0);
    copy_folder(audit(), backup());
    site.stack.start_registry();
  }
  void put_back() {
    CHECK(site.stack.stop_registry() == 0);
    copy_folder(backup(), audit());
    site.stack.start_registry();
  }
};

TEST_CASE("a registry put back to an old backup gets again what the nodes keep") {
  RestoredRegistry restored;
  AuditSite& site = restored.site;
  restored.ask(1'000, 40);
  restored.back_up();
  restored.ask(2'000, 40);
  restored.put_back();
  for (int64_t i = 0; i < 10; ++i) REQUIRE(site.ask(restored.agent, 3'000 + i));
  site.check_all();
  CHECK(site.verify().status == 0);
  CHECK(site.recorded_amounts().size() == 1);
}

TEST_CASE("what no node keeps any more is a gap that everybody is told of") {
  RestoredRegistry restored;
  AuditSite& site = restored.site;
  restored.ask(1'000, 40);
  restored.back_up();
  restored.ask(2'000, 40);
  // Two days later the node has deleted what was acknowledged, but for the last segment.
  CHECK(restored.agent.stop() == 0);
  restored.clock.set("+2d");
  restored.agent.start();
  REQUIRE(wait_until([&] {
    const json::value status = restored.agent.status();
    return number_at(status, "decisions.records") > 0 &&
           number_at(status, "decisions.acknowledged") == number_at(status, "decisions.records");
  }));
  CHECK(restored.agent.stop() == 0);
  restored.clock.set("+0");
  restored.put_back();
  restored.agent.start();
  const std::string log = log_of(restored.agent);
  REQUIRE(wait_until([&] { return site.stack.count_events("log_fault", "log_gap") > 0; }));
  CHECK(wait_until([&] { return restored.agent.count_events("alarm", "log_gap") > 0; }));
  const CliResult verified = site.verify();
  CHECK(verified.status == kExitGaps);
  CHECK(faults_of(must(parse_json(verified.output)), log).contains("log_gap"));
  CHECK(site.stack.notp("eve", {"decisions", "gaps"}).status == kExitGaps);
  CHECK(holds(all_amounts(site), 1'000, 40));
  // What the registry lacks, the node has deleted: it goes on in a log of its own.
  REQUIRE(wait_until([&] {
    const std::string now = log_of(restored.agent);
    return !now.empty() && now != log;
  }));
  ask_branch(restored.agent, 4'000, 20);
  CHECK(wait_until([&] { return holds(all_amounts(site), 4'000, 20); }));
}

// --- the node

// Full segments are sealed at once, also without a registry.
constexpr int64_t kFullSegment = 1'024;
constexpr int64_t kCloneFirst = 10'000;  // the amounts that it is asked about

// Two copies of one node decide after they have parted. What arrived first is the log; the other
// one is told, keeps its branch, and goes on in a log of its own that names the one before.
struct Parted {
  AuditSite site;
  Agent& first = site.start_agent({.name = "edge-1"});
  std::string log;

  Parted() {
    for (int64_t i = 0; i < 20; ++i) REQUIRE(site.ask(first, 1'000 + i));
    site.check_all();
    CHECK(first.stop() == 0);
    copy_folder(site.stack.file("edge-1.data"), site.stack.file("clone.data"));
    first.start();
    log = log_of(first);
    ask_branch(first, 2'000, 20);
    REQUIRE(wait_until([&] { return holds(all_amounts(site), 2'000, 20); }));
  }

  // `clone_asked`: how often it was asked before. `is_longer`: the clone's branch is the longer
  // one, so that the registry sees it, not the node.
  void check_clone(const Agent& clone, int64_t clone_asked, bool is_longer) {
    std::string next;
    REQUIRE(wait_until([&] {
      next = log_of(clone);
      return !next.empty() && next != log;
    }));
    CHECK(clone.count_events("alarm", "log_fork") > 0);
    CHECK((site.stack.count_events("log_fault", "log_fork") > 0) == is_longer);
    ask_branch(clone, 4'000, 20);
    CHECK(wait_until([&] { return holds(site.recorded_amounts()[next], 4'000, 20); }));
    CHECK(site.is_announced(next, log));
    check_evidence(next, clone_asked, is_longer);
  }

 private:
  void check_evidence(const std::string& next, int64_t clone_asked, bool is_longer) {
    const auto first_branch = site.recorded_amounts().at(log);
    CHECK(holds(first_branch, 1'000, 20));
    CHECK(holds(first_branch, 2'000, 20));
    CHECK_FALSE(first_branch.contains(kCloneFirst));
    CHECK(site.old_files("clone") > 0);
    const CliResult verified = site.verify();
    const json::value report = must(parse_json(verified.output));
    CHECK(verified.status == (is_longer ? kExitDiffers : kExitGaps));
    CHECK(faults_of(report, log).contains("log_fork") == is_longer);
    // What the clone's branch had is counted; what came after is in the new log.
    int64_t missing = 0;
    for (const json::value& each : at(report, "logs").as_array())
      if (text_at(each, "log") == next)
        for (const json::value& gap : at(each, "gaps").as_array())
          if (text_at(gap, "reason") == "new_log") missing += number_at(gap, "count");
    const auto arrived = std::ranges::count_if(
        site.recorded_amounts()[next], [](int64_t amount) { return amount >= kCloneFirst; });
    CHECK(missing > 0);
    CHECK(missing + arrived >= clone_asked);
  }
};

TEST_CASE("a cloned machine: its branch is refused and kept, and it goes on in a log of its own") {
  Parted parted;
  AuditSite& site = parted.site;
  bool are_both_up = false, is_longer = false;
  SUBCASE("one after the other") {}
  SUBCASE("both at once") { are_both_up = true; }
  SUBCASE("a clone that decided more") { is_longer = true; }
  if (!are_both_up) parted.first.kill();
  if (is_longer) site.stack.kill_registry();
  Agent& clone = site.stack.start_agent({.name = "clone",
                                         .ledgers = {kPayments},
                                         .certificate = site.stack.file("pki/edge-1").string()});
  if (is_longer) {
    CHECK(log_of(clone) == parted.log);
    ask_branch(clone, kCloneFirst, kFullSegment);
    REQUIRE(
        wait_until([&] { return number_at(clone.status(), "decisions.sealed") > kFullSegment; }));
    site.stack.start_registry();
  } else {
    ask_branch(clone, kCloneFirst, 20);
  }
  parted.check_clone(clone, is_longer ? kFullSegment : 20, is_longer);
  // The machine that was first is not harmed.
  if (!are_both_up) {
    clone.kill();
    parted.first.start();
  }
  CHECK(log_of(parted.first) == parted.log);
  ask_branch(parted.first, 5'000, 20);
  CHECK(wait_until([&] { return holds(site.recorded_amounts()[parted.log], 5'000, 20); }));
}

}  // namespace
}  // namespace notp
