// The token lane from a source to decisions: real registry, real agents with the embedded engine.
#include <doctest/doctest.h>

#include "tests/support/process/command.hpp"
#include "tests/support/process/lane_site.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

// Waits until the node lets the token in, or no longer.
template <typename Node>
bool becomes(const Node& node, const std::string& token, bool lets) {
  return wait_until([&] { return lets_in(node, token) == lets; });
}

struct Scene : LaneSite {
  using LaneSite::LaneSite;

  Agent& start(json::object agent_lane_more = {}) {
    start_registry();
    Agent& agent = start_agent(
        {.name = "edge-1", .ledgers = {}, .more = agent_lane(std::move(agent_lane_more))});
    REQUIRE(stack.becomes_active(agent, kInvoices, 1));
    REQUIRE(wait_until([&] { return lane_state(agent) == "live"; }));
    return agent;
  }
  static std::string reason(const Agent& agent, const std::string& token,
                            std::string_view method = "GET") {
    const auto answer =
        agent.decide(kInvoicesDecision, json::object{{"method", method}, {"token", token}});
    REQUIRE(answer);
    const json::array& reasons = at(*answer, "reasons").as_array();
    return reasons.empty() ? "" : std::string(reasons.front().as_string());
  }
};

TEST_CASE("a token decides once it is added, until it is deleted or has expired") {
  Scene scene;
  const Agent& agent = scene.start();
  CHECK(Scene::reason(agent, "reference-1") == "no living token");

  scene.add("reference-1");
  scene.add("reader", {.scope = "invoices.read"});
  scene.send({LaneSite::add_event("brief", {.exp_s = seconds_now() + 3})});
  REQUIRE(becomes(agent, "reference-1", true));
  REQUIRE(becomes(agent, "reader", true));
  CHECK(lets_in(agent, "reference-1", "POST"));
  CHECK(Scene::reason(agent, "reader", "POST") == "the scope invoices.write is missing");
  CHECK(Scene::reason(agent, "reader", "PATCH") == "no scope allows PATCH");

  // Nothing is sent when it ends.
  const auto revision =
      number_at(*agent.decide(kInvoicesDecision, json::object{}), "lane.revision");
  REQUIRE(becomes(agent, "brief", false));
  CHECK(number_at(*agent.decide(kInvoicesDecision, json::object{}), "lane.revision") == revision);
  CHECK(lets_in(agent, "reader"));

  scene.del("reference-1");
  REQUIRE(becomes(agent, "reference-1", false));
  CHECK(lets_in(agent, "reader"));
  // A delayed add of a deleted token loses.
  scene.add("reference-1");
  scene.add("reference-2");
  REQUIRE(becomes(agent, "reference-2", true));
  CHECK_FALSE(lets_in(agent, "reference-1"));
}

TEST_CASE("a mark about a subject ends its reference tokens and its JWTs, and nothing later") {
  Scene scene;
  const Agent& agent = scene.start();
  const int64_t now_s = seconds_now();
  const std::string jwt = scene.jwt({.iat_s = now_s - 10});
  const std::string other = scene.jwt({.sub = "bob", .sid = "s-1", .iat_s = now_s - 10});
  const std::string third = scene.jwt({.sub = "carol", .iat_s = now_s - 10});
  scene.add("reference-1", {.iat_s = now_s - 10});
  REQUIRE(becomes(agent, "reference-1", true));
  CHECK(lets_in(agent, jwt));
  CHECK(lets_in(agent, other));

  scene.revoke_subject("ana", now_s);
  REQUIRE(becomes(agent, jwt, false));
  CHECK_FALSE(lets_in(agent, "reference-1"));
  CHECK(lets_in(agent, other));
  // Whole seconds: what has the time of the mark is revoked too, what is later is not.
  CHECK_FALSE(lets_in(agent, scene.jwt({.iat_s = now_s})));
  CHECK(lets_in(agent, scene.jwt({.iat_s = now_s + 1})));

  scene.send({json::object{{"op", "revoke"}, {"iss", kLaneIssuer}, {"sid", "s-1"}}});
  REQUIRE(becomes(agent, other, false));

  // A JWT is a token, too: it can be deleted by itself.
  scene.del(third);
  REQUIRE(becomes(agent, third, false));
  CHECK(lets_in(agent, scene.jwt({.sub = "carol", .iat_s = now_s - 9})));
}

TEST_CASE("without a registry revocations hold over a restart, and reference tokens are unknown") {
  Scene scene;
  Agent& agent = scene.start();
  const int64_t now_s = seconds_now();
  const std::string revoked = scene.jwt({.iat_s = now_s - 10});
  const std::string deleted = scene.jwt({.sub = "bob", .iat_s = now_s - 10});
  const std::string good = scene.jwt({.sub = "carol", .iat_s = now_s - 10});
  scene.add("reference-1", {.sub = "carol"});
  scene.add("reference-2", {.sub = "carol"});
  REQUIRE(becomes(agent, "reference-2", true));
  scene.revoke_subject("ana", now_s);
  scene.send({LaneSite::del_event(deleted), LaneSite::del_event("reference-2")});
  REQUIRE(becomes(agent, "reference-2", false));

  scene.stack.kill_registry();
  REQUIRE(wait_until([&] { return !at(agent.status(), "connected").as_bool(); }));
  CHECK(lets_in(agent, "reference-1"));
  CHECK(lets_in(agent, good));
  CHECK_FALSE(lets_in(agent, revoked));

  agent.kill();
  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kInvoices, 1); }));
  REQUIRE(becomes(agent, good, true));
  CHECK_FALSE(lets_in(agent, revoked));
  CHECK_FALSE(lets_in(agent, deleted));
  CHECK_FALSE(lets_in(agent, "reference-1"));
  CHECK_FALSE(lets_in(agent, "reference-2"));

  // What was revoked meanwhile arrives, and what lives is there again.
  scene.start_registry();
  REQUIRE(becomes(agent, "reference-1", true));
  CHECK_FALSE(lets_in(agent, "reference-2"));
  CHECK_FALSE(lets_in(agent, revoked));
  CHECK_FALSE(lets_in(agent, deleted));
}

TEST_CASE(
    "with persist: all reference tokens live over a restart without a registry, until they end") {
  Scene scene;
  const auto key = scene.stack.file("lane-seal.key");
  must(write_file(key, std::string(64, '7'), 0600));
  Agent& agent = scene.start({{"persist", "all"}, {"key", key.string()}});
  scene.add("reference-1");
  scene.add("reference-2");
  scene.add("reference-3", {.sub = "bob", .iat_s = seconds_now() - 10});
  scene.send({LaneSite::add_event("brief", {.exp_s = seconds_now() + 20})});
  REQUIRE(becomes(agent, "brief", true));
  scene.del("reference-2");
  scene.revoke_subject("bob", seconds_now());
  REQUIRE(becomes(agent, "reference-3", false));
  REQUIRE(wait_until([&] {
    const json::value status = agent.status();
    return number_at(status, "lane.acknowledged") == number_at(status, "lane.revision");
  }));

  scene.stack.kill_registry();
  agent.kill();
  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kInvoices, 1); }));
  REQUIRE(becomes(agent, "reference-1", true));
  CHECK(Scene::reason(agent, "reference-1", "PATCH") == "no scope allows PATCH");
  CHECK_FALSE(lets_in(agent, "reference-2"));
  CHECK_FALSE(lets_in(agent, "reference-3"));
  CHECK(becomes(agent, "brief", false));
  CHECK(lets_in(agent, "reference-1"));

  scene.start_registry();
  REQUIRE(wait_until([&] { return lane_state(agent) == "live"; }));
  scene.del("reference-1");
  REQUIRE(becomes(agent, "reference-1", false));
}

TEST_CASE("a registry that has the lane no longer: what is here goes on, and the state says so") {
  Scene scene;
  const Agent& agent = scene.start();
  const std::string jwt = scene.jwt();
  scene.add("reference-1");
  REQUIRE(becomes(agent, "reference-1", true));
  scene.stack.kill_registry();
  scene.stack.registry_more.erase("lanes");
  scene.stack.write_registry_config();
  scene.stack.start_registry();
  REQUIRE(wait_until([&] { return lane_state(agent) == "unsupported"; }));
  CHECK(text_at(agent.status(), "lane.alarms.refused").contains("has no lanes"));
  CHECK(lets_in(agent, "reference-1"));
  CHECK(lets_in(agent, jwt));
  scene.start_registry();
  REQUIRE(wait_until([&] { return lane_state(agent) == "live"; }));
  CHECK(text_at(agent.status(), "lane.alarms.refused").empty());
  scene.del("reference-1");
  REQUIRE(becomes(agent, "reference-1", false));
}

// An old lane vouches for nothing, or it serves with its age in sight.
void goes_stale(std::string_view on_hard, bool serves) {
  Scene scene({{"hard_s", 30}, {"on_hard", on_hard}});
  const Agent& agent = scene.start();
  const std::string jwt = scene.jwt();
  scene.add("reference-1");
  REQUIRE(becomes(agent, "reference-1", true));
  CHECK(lets_in(agent, jwt));
  scene.stack.kill_registry();
  REQUIRE(wait_until([&] { return lane_state(agent) == "stale"; }));
  CHECK(lets_in(agent, "reference-1") == serves);
  CHECK(lets_in(agent, jwt) == serves);
  CHECK_FALSE(lets_in(agent, jwt, "POST"));
  scene.start_registry();
  REQUIRE(wait_until([&] { return lane_state(agent) == "live"; }));
  CHECK(lets_in(agent, jwt));
  CHECK(lets_in(agent, "reference-1"));
}

TEST_CASE("a stale lane denies everything") { goes_stale("deny", false); }

TEST_CASE("a stale lane serves, where its terms say so") { goes_stale("serve", true); }

TEST_CASE("registry and node are killed while tokens change, and agree in the end") {
  Scene scene;
  Agent& agent = scene.start();
  const auto name = [](int number) { return fmt::format("reference-{}", number); };
  constexpr int kTokens = 400, kEvery = 100;
  for (int number = 0; number < kTokens; ++number) {
    scene.add(name(number));
    if (number % 3 == 0) scene.del(name(number));
    if (number % kEvery == kEvery / 2) {
      agent.kill();
      agent.start();
    }
    if (number % kEvery == kEvery - 1) {
      scene.stack.kill_registry();
      scene.start_registry();
    }
  }
  REQUIRE(wait_until([&] { return agent.has_active(kInvoices, 1); }));
  REQUIRE(becomes(agent, name(kTokens - 2), true));
  for (int number = 0; number < kTokens; ++number)
    CHECK_MESSAGE(lets_in(agent, name(number)) == (number % 3 != 0), number);
}

TEST_CASE("a restored lane has what the backup had, and nodes keep what was revoked after it") {
  Scene scene;
  const Agent& agent = scene.start();
  Stack& stack = scene.stack;
  const auto server = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {stack.program("notp-server"), "--config", stack.file("registry.yaml")});
    const CommandResult ran = run_command(arguments, {{"PATH", "/usr/bin:/bin"}});
    REQUIRE_MESSAGE(ran.status == 0, ran.output);
  };
  scene.add("reference-1");
  scene.add("reference-2");
  scene.add("reference-3");
  scene.del("reference-3");
  server({"backup", stack.file("backup")});
  scene.add("reference-4");
  scene.del("reference-2");
  REQUIRE(becomes(agent, "reference-4", true));
  REQUIRE(becomes(agent, "reference-2", false));
  const auto lane = [&] {
    const CliResult stats = stack.notp("eve", {"tokens", "stats"});
    REQUIRE_MESSAGE(stats.status == 0, stats.error);
    return at(stats.document, "lanes").as_array().at(0);
  };

  REQUIRE(stack.stop_registry() == 0);
  std::filesystem::rename(stack.file("registry.data"), stack.file("registry.old"));
  server({"restore", stack.file("backup")});
  scene.start_registry();
  CHECK(number_at(lane(), "tokens") == 2);
  CHECK(number_at(lane(), "deleted") == 1);
  // Its revisions are another history's: the node takes a snapshot.
  REQUIRE(becomes(agent, "reference-4", false));
  CHECK(lets_in(agent, "reference-1"));
  CHECK_FALSE(lets_in(agent, "reference-2"));
  CHECK_FALSE(lets_in(agent, "reference-3"));
}

TEST_CASE("a folder that was put back by hand is noticed, and its lane is followed from there") {
  Scene scene;
  const Agent& agent = scene.start();
  Stack& stack = scene.stack;
  const auto lanes = stack.file("registry.data/lanes"), kept = stack.file("lanes.kept");
  scene.add("reference-1");
  REQUIRE(becomes(agent, "reference-1", true));
  REQUIRE(stack.stop_registry() == 0);
  std::filesystem::copy(lanes, kept);
  scene.start_registry();
  scene.add("reference-2");
  scene.add("reference-3");
  scene.del("reference-1");
  REQUIRE(becomes(agent, "reference-3", true));
  REQUIRE(becomes(agent, "reference-1", false));

  REQUIRE(stack.stop_registry() == 0);
  std::filesystem::remove_all(lanes);
  std::filesystem::copy(kept, lanes);
  scene.start_registry();
  REQUIRE(wait_until([&] { return stack.count_events("lane_rolled_back") == 1; }));
  REQUIRE(becomes(agent, "reference-3", false));
  // The registry has lost that it was revoked, the node has not.
  CHECK_FALSE(lets_in(agent, "reference-1"));
  scene.add("reference-4");
  REQUIRE(becomes(agent, "reference-4", true));
  CHECK(stack.count_events("lane_rolled_back") == 1);
}

TEST_CASE("notp tokens: stats, show, revoke and its wait; only with the right") {
  Scene scene;
  const Agent& agent = scene.start();
  Stack& stack = scene.stack;
  scene.add("reference-1");
  REQUIRE(becomes(agent, "reference-1", true));
  const auto token_file = stack.file("token");
  must(write_file(token_file, "reference-1\n"));
  const auto show = [&](const std::string& who) {
    return stack.notp(who, {"tokens", "show", "--lane", "tokens", "--token-file", token_file});
  };

  CliResult shown = show("eve");
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(text_at(shown.document, "state") == "alive");
  CHECK(text_at(shown.document, "attributes.sub") == "ana");
  CHECK(text_at(shown.document, "id") == feed::token_id("reference-1").hex());
  CHECK_FALSE(shown.output.contains("reference-1"));
  CHECK(show("alice").error_code() == "denied");

  const CliResult revoked = stack.notp(
      "eve", {"tokens", "revoke", "--lane", "tokens", "--token-file", token_file, "--wait"});
  REQUIRE_MESSAGE(revoked.status == 0, revoked.error);
  CHECK_FALSE(lets_in(agent, "reference-1"));  // at once: the node has applied it
  CHECK(text_at(show("eve").document, "state") == "deleted");

  const std::string jwt = scene.jwt({.iat_s = seconds_now() - 5});
  CHECK(lets_in(agent, jwt));
  const CliResult marked = stack.notp("eve", {"tokens", "revoke", "--lane", "tokens", "--issuer",
                                              kLaneIssuer, "--sub", "ana", "--wait"});
  REQUIRE_MESSAGE(marked.status == 0, marked.error);
  CHECK_FALSE(lets_in(agent, jwt));

  // The registry counts once a second.
  json::value lane;
  CHECK(wait_until([&] {
    const CliResult stats = stack.notp("eve", {"tokens", "stats"});
    REQUIRE_MESSAGE(stats.status == 0, stats.error);
    lane = at(stats.document, "lanes").as_array().at(0);
    return number_at(lane, "marks") == 1;
  }));
  CHECK(text_at(lane, "name") == "tokens");
  CHECK(number_at(lane, "tokens") == 0);
  CHECK(number_at(lane, "nodes") == 1);
  CHECK(text_at(at(lane, "sources").as_array().at(0), "name") == "gateway");
}

TEST_CASE("a node in ask mode holds what it was asked for, and every revocation") {
  Scene scene;
  const Agent& agent = scene.start({{"mode", "ask"}, {"ask", {{"token", "/token"}}}});
  scene.add("reference-1");
  scene.add("reference-2");
  const std::string jwt = scene.jwt({.iat_s = seconds_now() - 5});
  // The first question waits for the registry's answer.
  CHECK(lets_in(agent, "reference-1"));
  CHECK(wait_until([&] { return number_at(agent.status(), "lane.asks.held") == 1; }));
  CHECK(lets_in(agent, jwt));
  scene.del("reference-1");
  scene.revoke_subject("ana");
  REQUIRE(becomes(agent, jwt, false));
  CHECK_FALSE(lets_in(agent, "reference-1"));
  CHECK_FALSE(lets_in(agent, "reference-2"));
}

TEST_CASE("a node that no grant names, and a registry without the lane: nobody is let in") {
  Scene scene({{"grants", json::array{json::object{{"nodes", json::array{"node/edge-2"}}}}}});
  scene.start_registry();
  Agent& refused = scene.start_agent({.name = "edge-1", .ledgers = {}});
  Agent& granted = scene.start_agent({.name = "edge-2", .ledgers = {}});
  REQUIRE(scene.stack.becomes_active(refused, kInvoices, 1));
  REQUIRE(scene.stack.becomes_active(granted, kInvoices, 1));
  scene.add("reference-1");
  REQUIRE(becomes(granted, "reference-1", true));
  REQUIRE(wait_until([&] { return lane_state(refused) == "denied"; }));
  CHECK_FALSE(lets_in(refused, "reference-1"));
  CHECK_FALSE(lets_in(refused, scene.jwt()));  // nothing says that it is not revoked
}

}  // namespace
}  // namespace notp
