// Decisions of a node whose disk is slow, and of one whose clock jumps.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <future>

#include "common/limits.hpp"
#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/faked_clock.hpp"
#include "tests/support/process/slow_disk.hpp"

namespace notp {
namespace {

using std::chrono::steady_clock;

constexpr int kSlowMs = 200;

struct SlowSite {
  AuditSite site;
  const SlowDisk disk{site.stack.file("disk")};
  Agent& agent;

  explicit SlowSite(const json::object& decisions)
      : agent(site.start_agent(setup_of(disk, decisions))) {}

 private:
  static AgentSetup setup_of(const SlowDisk& disk, json::object decisions) {
    decisions["ring_bytes"] = 32 << 20;
    AgentSetup setup{.name = "edge-1", .environment = disk.environment()};
    setup.more["decisions"] = std::move(decisions);
    setup.more["authzen"] = {{"path", "payments/transfer/allow"}};
    return setup;
  }
};

// A subcase for either durability.
bool picks_strict() {
  bool is_strict = false;
  SUBCASE("batched") {}
  SUBCASE("strict") { is_strict = true; }
  return is_strict;
}

struct Readiness {
  unsigned status = 0;
  std::string state, trouble;
};

Readiness readiness_of(const Agent& agent) {
  const auto answer = must(http::call_blocking({.url = agent.url() + "/health/ready"}));
  const json::value body = must(parse_json(answer.body));
  return {answer.status, text_at(body, "state"), text_at(agent.status(), "decisions.trouble")};
}

// Asks for many decisions with one request, each with a record. Returns the status.
unsigned ask_many(const Agent& agent, size_t count) {
  constexpr std::string_view kOne =
      R"({"subject":{"type":"user","id":"ana"},"action":{"name":"pay"},"resource":{"type":"t","id":"1"}})";
  std::string all;
  for (size_t i = 0; i < count; ++i) all += fmt::format("{}{}", all.empty() ? "" : ",", kOne);
  return must(http::call_blocking({.method = "POST",
                                   .url = agent.url() + "/access/v1/evaluations",
                                   .headers = {{"Content-Type", "application/json"}},
                                   .body = fmt::format(R"({{"evaluations":[{}]}})", all),
                                   .deadline_ms = 60'000}))
      .status;
}

TEST_CASE("on a slow disk batched decisions are given and none is lost; strict ones wait for it") {
  const bool is_strict = picks_strict();
  SlowSite slow({{"durability", is_strict ? "strict" : "batched"}});
  auto& [site, disk, agent] = slow;
  disk.set_ms(kSlowMs);
  const auto begin = steady_clock::now();
  constexpr int kAsked = 10;
  for (int64_t i = 0; i < kAsked; ++i) REQUIRE(site.ask(agent, i));
  // Each waits for a sync that began after it was written.
  if (is_strict) CHECK(steady_clock::now() - begin >= milliseconds(kAsked * kSlowMs));
  CHECK(readiness_of(agent).status == 200);
  // Killed while syncs are under way.
  agent.kill();
  agent.start();
  REQUIRE(wait_until([&] { return site.ask(agent, 1); }));
  disk.set_ms(0);
  site.check_all();
  CHECK(site.verify().status == 0);
}

TEST_CASE("while no sync ends, batched decisions are given and strict ones are not") {
  const bool is_strict = picks_strict();
  SlowSite slow({{"durability", is_strict ? "strict" : "batched"}});
  auto& [site, disk, agent] = slow;
  disk.hold();
  std::atomic<bool> was_released = false;
  std::vector<std::future<bool>> answers;
  for (int64_t i = 0; i < 8; ++i)
    answers.push_back(std::async(std::launch::async, [&, i] {
      const auto answer = ask_with_id(agent.url(), "payments/transfer/decision", {{"amount", i}});
      return answer.status == 200 && (!is_strict || was_released);
    }));
  if (is_strict) {
    // All have reached the log: their records are there, their answers are not.
    REQUIRE(wait_until(
        [&] { return number_at(agent.status(), "decisions.records") >= std::ssize(answers); }));
    was_released = true;
    disk.set_ms(0);
  }
  for (auto& answer : answers) CHECK(answer.get());
  disk.set_ms(0);
}

TEST_CASE("a disk that confirms nothing: when the lease runs out, the node does as configured") {
  bool refuses = false;
  SUBCASE("refuse") { refuses = true; }
  SUBCASE("drop_newest") {}
  SlowSite slow({{"when_full", refuses ? "refuse" : "drop_newest"}});
  auto& [site, disk, agent] = slow;
  constexpr size_t kAtOnce = 1'000;
  disk.hold();
  uint64_t given = 0;
  bool is_over = false;
  for (size_t i = 0; i * kAtOnce < limits::kRingLease + 2 * kAtOnce; ++i) {
    const unsigned status = ask_many(agent, kAtOnce);
    if (status == 200) given += kAtOnce;
    is_over = is_over || status == 503;
    CHECK((status == 200 || status == 503));
  }
  const Readiness stalled = readiness_of(agent);
  CHECK(stalled.trouble.contains("confirmed no sync"));
  CHECK(stalled.status == (refuses ? 503 : 200));
  CHECK(stalled.state == (refuses ? "audit_unavailable" : "current"));
  CHECK(is_over == refuses);
  disk.set_ms(0);
  REQUIRE(wait_until([&] { return readiness_of(agent).trouble.empty(); }));
  CHECK(readiness_of(agent).status == 200);
  REQUIRE(site.ask(agent, 1));
  ++given;
  const size_t recorded = site.check_all();
  uint64_t missing = 0;
  const CliResult gaps = site.stack.notp("eve", {"decisions", "gaps"});
  const json::value told = must(parse_json(gaps.output));
  for (const json::value& log : at(told, "logs").as_array())
    for (const json::value& gap : at(log, "gaps").as_array()) {
      CHECK(text_at(gap, "reason") == "full");
      CHECK_FALSE(at(gap, "at_most").as_bool());
      missing += static_cast<uint64_t>(number_at(gap, "count"));
    }
  if (refuses) {
    CHECK(missing == 0);
    CHECK(recorded >= given);
  } else {
    CHECK(missing > 0);
    CHECK(recorded + missing == given);
  }
}

TEST_CASE("a node's clock that goes back an hour: positions keep the order, times are found") {
  AuditSite site;
  const FakedClock clock(site.stack.file("clock"));
  Agent& agent = site.start_agent({.name = "edge-1", .environment = clock.environment()});
  constexpr int64_t kEach = 30;
  for (int64_t i = 0; i < kEach; ++i) REQUIRE(site.ask(agent, 1'000 + i));
  clock.set("-1h");
  for (int64_t i = 0; i < kEach; ++i) REQUIRE(site.ask(agent, 2'000 + i));
  site.check_all();
  CHECK(site.verify().status == 0);

  std::vector<int64_t> amounts;
  std::string last_time;
  size_t jumps = 0;
  for (const json::value& record : site.records()) {
    if (text_at(record, "path") != "payments/transfer/decision") continue;
    amounts.push_back(number_at(record, "input.amount"));
    const std::string time = text_at(record, "timestamp");
    jumps += time < last_time ? 1 : 0;
    last_time = time;
  }
  REQUIRE(std::ssize(amounts) == 2 * kEach);
  CHECK(std::ranges::is_sorted(amounts));
  CHECK(jumps == 1);

  const auto found = [&](const std::string& option) {
    std::set<int64_t> out;
    const CliResult result =
        site.stack.notp("eve", {"decisions", "search", "--all", option, "30m"});
    REQUIRE_MESSAGE(result.status == 0, result.error);
    for (const json::value& each : at(result.document, "decisions").as_array())
      out.insert(number_at(each, "input.amount"));
    return out;
  };
  std::set<int64_t> before, after;
  for (int64_t i = 0; i < kEach; ++i) {
    before.insert(1'000 + i);
    after.insert(2'000 + i);
  }
  CHECK(found("--since") == before);
  CHECK(found("--until") == after);
}

}  // namespace
}  // namespace notp
