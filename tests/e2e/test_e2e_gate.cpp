// The replay gate with real programs: a release that changes too many of a node's own decisions is
// held there, and let go by a person; a withdrawal is never held.
#include <doctest/doctest.h>

#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

constexpr int kRecorded = 1'200;

// Allows what costs less than `limit`.
void write_model(const std::filesystem::path& folder, int limit, std::string_view gate) {
  must(make_folders(folder / "shop"));
  must(write_file(folder / "manifest.json", fmt::format(R"({{
    "metadata": {{"name": "shop"}},
    "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "1"}}}}}},
    "partitions": {{"/": {{"runtime": "rego"}}}},
    "roots": ["shop"]{}}})",
                                                        gate)));
  must(write_file(folder / "shop/shop.rego",
                  fmt::format("package shop\n\nallow if input.amount < {}\n", limit)));
}

constexpr std::string_view kGate = R"(, "gate": {"replay": {"decisions": 1000, "allow": "0.1%"}})";

struct GateSite {
  Stack stack{{.freshness_interval_s = 1}};
  std::filesystem::path model = stack.file("shop-model");
  Agent* busy = nullptr;   // has recorded kRecorded decisions
  Agent* quiet = nullptr;  // has recorded 50

  GateSite() {
    stack.start_registry();
    busy = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
    quiet = &stack.start_agent({.name = "edge-2", .ledgers = {kShop}});
    write_model(model, 100, "");
    const int64_t first = stack.published(model, kShop);
    REQUIRE(stack.becomes_active(*busy, kShop, first));
    REQUIRE(stack.becomes_active(*quiet, kShop, first));
    ask_hundreds(*busy, kRecorded / 100);
    for (int i = 0; i < 50; ++i) ask(*quiet, 50);
  }

  static bool ask(const Agent& agent, int amount) {
    return agent.decide("shop/allow", json::object{{"amount", amount}}).has_value();
  }
  // Of every hundred, one is about 50: a limit of 40 changes it.
  static void ask_hundreds(const Agent& agent, int hundreds) {
    for (int i = 0; i < 100 * hundreds; ++i) ask(agent, i % 100 == 0 ? 50 : i % 2 ? 1 : 500);
  }
  int64_t publish(int limit, std::string_view gate = kGate) {
    write_model(model, limit, gate);
    return stack.published(model, kShop);
  }
  bool is_held(const Agent& agent, int64_t version) {
    return wait_until([&] {
      const json::value row = stack.node_ledger(agent, kShop);
      return number_at(row, "version") == version && text_at(row, "state") == "rejected" &&
             text_at(row, "error.code") == "gate_held";
    });
  }
  CliResult release(std::string node, const std::string& version) {
    return stack.notp("alice", {"node", "release", std::move(node), kShop, version});
  }
  // The last of the agent's lines about its gates.
  static json::value last_judgement(const Agent& agent) {
    json::value last;
    for (const json::value& line : log_lines(agent.log_file()))
      if (text_at(line, "event").starts_with("gate_")) last = line;
    return last;
  }
};

TEST_CASE("a release that changes a node's own decisions is held there until a person lets it go") {
  GateSite site;
  Agent& busy = *site.busy;
  const int64_t second = site.publish(40);
  REQUIRE(site.is_held(busy, second));
  const std::string message = text_at(site.stack.node_ledger(busy, kShop), "error.message");
  CHECK_MESSAGE(message.starts_with("10 of this node's last 1000 recorded decisions come out "
                                    "differently with " +
                                    kShop + " v2, its manifest allows 0.1%\n"),
                message);
  CHECK(message.contains(" shop/allow: undefined instead of true"));
  CHECK(busy.has_active(kShop, 1));
  CHECK(site.ask(busy, 50));
  // A node with few decisions has nothing to judge by.
  CHECK(site.stack.becomes_active(*site.quiet, kShop, second));
  CHECK_FALSE(site.ask(*site.quiet, 50));
  CHECK(text_at(site.last_judgement(*site.quiet), "judgement") == "few");

  busy.kill();
  busy.start();
  REQUIRE(wait_until([&] { return busy.has_active(kShop, 1); }));
  REQUIRE(site.is_held(busy, second));
  CHECK(site.ask(busy, 50));
  CHECK(busy.count_events("gate_judged") == 1);

  CHECK(site.release("edge-1", "v3").error_code() == "not_found");
  CHECK(site.release("edge-2", "v2").error_code() == "not_found");
  // The node is away, and the registry ends in between.
  busy.kill();
  const CliResult released = site.release("edge-1", "v2");
  REQUIRE_MESSAGE(released.status == 0, released.error);
  site.stack.kill_registry();
  site.stack.start_registry();
  busy.start();
  REQUIRE(site.stack.becomes_active(busy, kShop, second));
  CHECK_FALSE(site.ask(busy, 50));
  busy.kill();
  busy.start();
  REQUIRE(site.stack.becomes_active(busy, kShop, second));
  CHECK(busy.count_events("gate_judged") == 1);

  // What it decided since is what counts now.
  site.ask_hundreds(busy, 10);
  const int64_t third = site.publish(41);
  REQUIRE(site.stack.becomes_active(busy, kShop, third));
  const json::value passed = site.last_judgement(busy);
  CHECK(text_at(passed, "judgement") == "passed");
  CHECK(number_at(passed, "compared") == 1'000);
  CHECK(number_at(passed, "differing") == 0);
}

TEST_CASE("a node that is connected takes what is let go at once, and decides meanwhile") {
  GateSite site;
  const int64_t second = site.publish(0);
  REQUIRE(site.is_held(*site.busy, second));
  CHECK(site.ask(*site.busy, 50));
  const CliResult shown = site.stack.notp("eve", {"node", "show", "edge-1"});
  CHECK_MESSAGE(shown.output.contains("gate_held"), shown.output);
  // It takes the right to publish.
  CHECK(site.stack.notp("eve", {"node", "release", "edge-1", kShop, "v2"}).error_code() ==
        "denied");
  const CliResult released = site.release("edge-1", "v2");
  REQUIRE_MESSAGE(released.status == 0, released.error);
  REQUIRE(site.stack.becomes_active(*site.busy, kShop, second));
  CHECK_FALSE(site.ask(*site.busy, 50));
}

TEST_CASE("what replaces a withdrawn release is not held, and the next version ends a hold") {
  GateSite site;
  Agent& busy = *site.busy;
  REQUIRE(site.is_held(busy, site.publish(40)));
  // The same change, and as much as its manifest allows.
  const int64_t third =
      site.publish(40, R"(, "gate": {"replay": {"decisions": 1000, "allow": "1%"}})");
  REQUIRE(site.stack.becomes_active(busy, kShop, third));
  const json::value passed = site.last_judgement(busy);
  CHECK(text_at(passed, "judgement") == "passed");
  CHECK(number_at(passed, "compared") == 1'000);
  CHECK(number_at(passed, "differing") == 10);
  const int64_t fourth = site.publish(0);
  REQUIRE(site.is_held(busy, fourth));
  const CliResult withdrawn =
      site.stack.notp("alice", {"withdraw", kShop, "v3", "--reason", "it sells too much"});
  REQUIRE_MESSAGE(withdrawn.status == 0, withdrawn.error);
  REQUIRE(wait_until([&] { return !site.ask(busy, 1); }));
  const size_t judged = busy.count_events("gate_judged");
  const int64_t fifth = site.publish(2);
  REQUIRE(site.stack.becomes_active(busy, kShop, fifth));
  CHECK(site.ask(busy, 1));
  CHECK_FALSE(site.ask(busy, 50));
  CHECK(busy.count_events("gate_judged") == judged);
}

}  // namespace
}  // namespace notp
