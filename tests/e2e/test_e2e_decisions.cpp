// Decisions reach the registry's audit store: each once, bound to its release, verifiable; also
// when agent and registry are killed all the time.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/support/process/audit_site.hpp"

namespace notp {
namespace {

constexpr uint64_t kSeed = 20'261'129;

// 8 kills of an agent, 4 of the registry; more by the environment.
size_t rounds(const char* name, size_t ordinary) {
  const char* text = std::getenv(name);
  return text == nullptr ? ordinary : std::strtoull(text, nullptr, 10);
}

TEST_CASE("an auditor finds every decision, its release, and that nothing was changed") {
  AuditSite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  for (int64_t i = 0; i < 200; ++i) REQUIRE(site.ask(agent, 100 + i));
  CHECK(site.check_all() >= 200);

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

TEST_CASE("an agent that is killed all the time loses no answered decision and sends none twice") {
  AuditSite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  std::mt19937_64 random(kSeed);
  const size_t kills = rounds("NOTP_AGENT_KILLS", 8);
  for (size_t kill = 0; kill < kills; ++kill) {
    const auto asks = static_cast<int64_t>(20 + random() % 100);
    for (int64_t i = 0; i < asks; ++i) site.ask(agent, i);
    agent.kill();
    agent.start();
    REQUIRE(wait_until([&] { return site.ask(agent, 1); }));
  }
  const size_t recorded = site.check_all();
  MESSAGE("killed " << kills << " times, answered " << site.answered().size() << ", recorded "
                    << recorded);
  CHECK(site.verify().status == 0);
}

TEST_CASE("a registry that is killed while records arrive has each of them once") {
  AuditSite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  std::mt19937_64 random(kSeed);
  const size_t kills = rounds("NOTP_REGISTRY_KILLS", 4);
  for (size_t kill = 0; kill < kills; ++kill) {
    // Full segments are sent at once.
    for (int64_t i = 0; i < 1'100; ++i) REQUIRE(site.ask(agent, i));
    std::this_thread::sleep_for(milliseconds(random() % 300));
    site.stack.kill_registry();
    for (int64_t i = 0; i < 50; ++i) REQUIRE(site.ask(agent, i));
    site.stack.start_registry();
  }
  const size_t recorded = site.check_all();
  MESSAGE("killed " << kills << " times, answered " << site.answered().size() << ", recorded "
                    << recorded);
  CHECK(site.verify().status == 0);
}

}  // namespace
}  // namespace notp
