// Decisions reach the registry's audit store: each once, bound to its release, verifiable; also
// when agent and registry are killed all the time.
#include <doctest/doctest.h>

#include <random>
#include <thread>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

constexpr uint64_t kSeed = 20'261'129;

TEST_CASE("an auditor finds every decision, its release, and that nothing was changed") {
  AuditSite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  for (int64_t i = 0; i < 200; ++i) REQUIRE(site.ask(agent, 100 + i));
  CHECK(site.check_all() >= 200);
  // So nothing is missing of the node.
  CHECK(wait_until([&] {
    const json::value node = site.stack.node(agent);
    const json::value* lag_s = node.as_object().if_contains("log_lag_s");
    return lag_s != nullptr && *lag_s == 0;
  }));

  const CliResult verified = site.verify();
  CHECK_MESSAGE(verified.status == 0, verified.output << verified.error);

  const std::string id = *site.answered().begin();
  const CliResult shown = site.stack.notp("eve", {"decisions", "show", id});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(text_at(shown.document, "decision_id") == id);
  CHECK(text_at(shown.document, "path") == "payments/transfer/decision");
  CHECK(text_at(shown.document, "notp.ledger") == kPayments);
  CHECK(number_at(shown.document, "notp.version") == 1);
  CHECK(text_at(shown.document, "notp.node") == agent.identity());

  // A rare value is found by its text, and no other record with it.
  const CliResult found = site.stack.notp("eve", {"decisions", "search", "--value", "277"});
  REQUIRE_MESSAGE(found.status == 0, found.error);
  CHECK(found.output.contains("\"amount\":277"));
  CHECK_FALSE(found.output.contains("\"amount\":278"));

  // The publisher may not ask.
  CHECK(site.stack.notp("alice", {"decisions", "search"}).error_code() == "denied");
}

// Asks between kills, up to 100 times a round. Afterwards every answer is at the registry, once.
void check_kills_of_agent(const char* durability) {
  AuditSite site;
  AgentSetup setup{.name = "edge-1"};
  setup.more["decisions"] = {{"ring_bytes", 8 << 20}, {"durability", durability}};
  Agent& agent = site.start_agent(std::move(setup));
  std::mt19937_64 random(kSeed);
  const size_t kills = count_of("NOTP_AGENT_KILLS", 8);
  for (size_t kill = 0; kill < kills; ++kill) {
    const auto asks = static_cast<int64_t>(random() % 100);
    for (int64_t i = 0; i < asks; ++i) site.ask(agent, i);
    agent.kill();
    agent.start();
    REQUIRE(wait_until([&] { return site.ask(agent, 1); }));
  }
  const size_t recorded = site.check_all();
  CHECK(site.verify().status == 0);
  record_result(fmt::format("an agent with {} records killed while it decides", durability),
                fmt::format("{} kills, seed {}, {} decisions answered, {} recorded", kills, kSeed,
                            site.answered().size(), recorded),
                "0 answered lost, 0 twice, 0 positions missing");
}

TEST_CASE("an agent that is killed all the time loses no answered decision and sends none twice") {
  check_kills_of_agent("batched");
}

TEST_CASE("the same with an agent whose answers wait for the disk") {
  check_kills_of_agent("strict");
}

TEST_CASE("a registry that is killed while records arrive has each of them once") {
  AuditSite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  std::mt19937_64 random(kSeed);
  const size_t kills = count_of("NOTP_REGISTRY_KILLS", 4);
  for (size_t kill = 0; kill < kills; ++kill) {
    // Full segments are sent at once.
    for (int64_t i = 0; i < 1'100; ++i) REQUIRE(site.ask(agent, i));
    std::this_thread::sleep_for(milliseconds(random() % 300));
    site.stack.kill_registry();
    for (int64_t i = 0; i < 50; ++i) REQUIRE(site.ask(agent, i));
    site.stack.start_registry();
  }
  const size_t recorded = site.check_all();
  CHECK(site.verify().status == 0);
  record_result("a registry killed while segments arrive",
                fmt::format("{} kills, seed {}, {} decisions answered, {} recorded", kills, kSeed,
                            site.answered().size(), recorded),
                "0 answered lost, 0 twice, 0 positions missing");
}

}  // namespace
}  // namespace notp
