// A node with a release that is no longer attested, and with a withdrawn one: with the embedded
// engine and with a real OPA, through crashes, by the publisher's terms.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

const std::string kTransfer = "payments/transfer/decision";

struct Terms {
  int fresh_s = 300;
  int hard_s = 86'400;
  const char* on_hard = "deny";
};

// The result of a probe of GET /health/ready.
struct Ready {
  unsigned status = 0;
  std::string state;
  bool operator==(const Ready&) const = default;
};

Ready ready(const Agent& agent) {
  const auto answer = http::call_blocking({.url = agent.url() + "/health/ready"});
  if (!answer) return {};
  return {answer->status, text_at(must(parse_json(answer->body)), "state")};
}

std::string state_of(const Agent& agent) {
  return text_at(agent.ledger_status(kPayments), "state");
}

// The states of the active release in the agent's log, in order.
std::vector<std::string> states_logged(const Agent& agent) {
  std::vector<std::string> states;
  for (const json::value& line : log_lines(agent.log_file()))
    if (text_at(line, "event") == "freshness") states.push_back(text_at(line, "state"));
  return states;
}

struct Scene {
  Stack stack{{.freshness_interval_s = 1}};
  Opa opa{stack, free_port()};
  const std::filesystem::path payments = stack.copy_example("payments");
  const json::value transfer = stack.example_question("transfer-750-euros");

  CliResult publish(const Terms& terms) {
    return stack.notp("alice", {"publish", payments, "--ledger", kPayments, "--stale-after",
                                std::to_string(terms.fresh_s), "--expire-after",
                                std::to_string(terms.hard_s), "--on-expired", terms.on_hard});
  }
  void published(const Terms& terms, int64_t version) {
    const CliResult result = publish(terms);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    REQUIRE(number_at(result.document, "version") == version);
  }
  Agent& embedded() { return stack.start_agent({.name = "edge-1", .ledgers = {kPayments}}); }
  Agent& with_opa() {
    Agent& agent = stack.start_agent(
        {.name = "edge-2", .ledgers = {kPayments}, .pdp = "opa", .opa_port = opa.port()});
    opa.start(agent);
    return agent;
  }
  bool decides(const Agent& agent) const { return agent.decide(kTransfer, transfer).has_value(); }
  bool opa_decides() const { return opa.decide(kTransfer, transfer).has_value(); }
  // Right after a start it may have no model yet, which does not count as a decision either.
  bool decides_or_not_ready(const Agent& agent) const {
    try {
      return decides(agent);
    } catch (const std::exception&) {
      return false;
    }
  }
  bool is_listed_as(const Agent& agent, std::string_view freshness) {
    return text_at(stack.node_ledger(agent, kPayments), "freshness") == freshness;
  }
};

TEST_CASE("without a registry a release grows stale and expires, and then nothing is decided") {
  Scene scene;
  Stack& stack = scene.stack;
  stack.start_registry();
  scene.published({.fresh_s = 3, .hard_s = 6}, 1);
  Agent& embedded = scene.embedded();
  Agent& with_opa = scene.with_opa();
  REQUIRE(stack.becomes_active(embedded, kPayments, 1));
  REQUIRE(stack.becomes_active(with_opa, kPayments, 1));
  REQUIRE(wait_until([&] { return ready(embedded) == Ready{200, "current"}; }));
  CHECK(state_of(embedded) == "fresh");
  REQUIRE(wait_until([&] { return scene.decides(embedded) && scene.opa_decides(); }));

  stack.kill_registry();
  REQUIRE(wait_until([&] { return ready(embedded) == Ready{503, "expired"}; }));
  REQUIRE(wait_until([&] { return ready(with_opa) == Ready{503, "expired"}; }));
  for (const Agent* agent : {&embedded, &with_opa}) {
    CAPTURE(agent->name());
    const std::vector<std::string> states = states_logged(*agent);
    REQUIRE(states.size() >= 2);
    CHECK(states[states.size() - 2] == "stale");
    CHECK(states.back() == "expired");
    CHECK(at(agent->ledger_status(kPayments), "denies").as_bool());
    CHECK(agent->has_active(kPayments, 1));
  }
  REQUIRE(wait_until([&] { return !scene.decides(embedded); }));
  REQUIRE(wait_until([&] { return !scene.opa_decides(); }));

  // A crash does not reset the age.
  embedded.kill();
  embedded.start();
  CHECK_FALSE(scene.decides_or_not_ready(embedded));
  REQUIRE(wait_until([&] { return ready(embedded) == Ready{503, "expired"}; }));
  REQUIRE(wait_until([&] { return embedded.has_active(kPayments, 1); }));
  CHECK_FALSE(scene.decides(embedded));

  stack.start_registry();
  REQUIRE(wait_until([&] { return ready(embedded) == Ready{200, "current"}; }));
  REQUIRE(wait_until([&] { return ready(with_opa) == Ready{200, "current"}; }));
  REQUIRE(wait_until([&] { return scene.decides(embedded) && scene.opa_decides(); }));
}

TEST_CASE("a release that is to be served decides on when it has expired, and its policy sees it") {
  Scene scene;
  Stack& stack = scene.stack;
  must(write_file(scene.payments / "payments/standing.rego", R"(package payments.standing

import rego.v1

ledger := data.system.notp.ledgers.payments

state := ledger.state

is_current if state in {"fresh", "untracked"}
)"));
  stack.start_registry();
  scene.published({.fresh_s = 2, .hard_s = 4, .on_hard = "serve"}, 1);
  const Agent& embedded = scene.embedded();
  Agent& with_opa = scene.with_opa();
  const auto both_see = [&](std::string_view state) {
    const auto sees = [&](const Agent& agent) {
      const auto seen = agent.decide("payments/standing/state", {});
      return seen && *seen == json::value(state);
    };
    return wait_until([&] { return sees(embedded) && sees(with_opa); });
  };
  REQUIRE(stack.becomes_active(embedded, kPayments, 1));
  REQUIRE(stack.becomes_active(with_opa, kPayments, 1));
  REQUIRE(both_see("fresh"));

  stack.kill_registry();
  REQUIRE(both_see("expired"));
  CHECK(scene.decides(embedded));
  CHECK(scene.opa_decides());
  CHECK(ready(embedded) == Ready{200, "stale"});
  CHECK_FALSE(at(embedded.ledger_status(kPayments), "denies").as_bool());
  const auto seen = embedded.decide("payments/standing/ledger", {});
  REQUIRE(seen);
  CHECK(number_at(*seen, "fresh_s") == 2);
  CHECK(number_at(*seen, "hard_s") == 4);
  CHECK(text_at(*seen, "on_hard") == "serve");
  CHECK(number_at(*seen, "vouched_ms") > 0);
  CHECK_FALSE(at(*seen, "withdrawn").as_bool());

  // With a long time until it expires it stays stale, long enough to query.
  stack.start_registry();
  REQUIRE(both_see("fresh"));
  set_single_approval_max(scene.payments, 90'000);
  scene.published({.fresh_s = 2}, 2);
  REQUIRE(stack.becomes_active(embedded, kPayments, 2));
  REQUIRE(stack.becomes_active(with_opa, kPayments, 2));
  stack.kill_registry();
  REQUIRE(both_see("stale"));
  CHECK_FALSE(embedded.decide("payments/standing/is_current", {}));
  CHECK(scene.decides(embedded));
  CHECK(scene.opa_decides());
}

TEST_CASE("the registry's list shows how fresh each node is, also one that is gone") {
  Scene scene;
  Stack& stack = scene.stack;
  stack.start_registry();
  scene.published({.fresh_s = 2, .hard_s = 4}, 1);
  Agent& gone = stack.start_agent({.name = "gone", .ledgers = {kPayments}});
  const Agent& here = stack.start_agent({.name = "here", .ledgers = {kPayments}});
  REQUIRE(stack.becomes_active(gone, kPayments, 1));
  REQUIRE(stack.becomes_active(here, kPayments, 1));
  REQUIRE(wait_until(
      [&] { return scene.is_listed_as(gone, "fresh") && scene.is_listed_as(here, "fresh"); }));

  gone.kill();
  REQUIRE(wait_until([&] { return scene.is_listed_as(gone, "expired"); }));
  CHECK_FALSE(stack.node(gone).at("connected").as_bool());
  CHECK(number_at(stack.node_ledger(gone, kPayments), "age_s") >= 4);
  CHECK(number_at(stack.node_ledger(gone, kPayments), "active_version") == 1);
  CHECK(stack.node(here).at("connected").as_bool());
  REQUIRE(wait_until([&] { return scene.is_listed_as(here, "fresh"); }));

  gone.start();
  REQUIRE(wait_until([&] { return scene.is_listed_as(gone, "fresh"); }));
}

TEST_CASE("a withdrawn release is decided with nowhere, until the next one is published") {
  Scene scene;
  Stack& stack = scene.stack;
  stack.start_registry();
  scene.published({}, 1);
  Agent& embedded = scene.embedded();
  Agent& with_opa = scene.with_opa();
  REQUIRE(stack.becomes_active(embedded, kPayments, 1));
  REQUIRE(stack.becomes_active(with_opa, kPayments, 1));
  REQUIRE(scene.decides(embedded));
  REQUIRE(scene.opa_decides());

  const CliResult withdrawn =
      stack.notp("alice", {"withdraw", kPayments, "v1", "--reason", "it pays twice"});
  REQUIRE_MESSAGE(withdrawn.status == 0, withdrawn.error);
  CHECK(withdrawn.document.at("was_head").as_bool());
  for (const Agent* agent : {&embedded, &with_opa}) {
    CAPTURE(agent->name());
    REQUIRE(wait_until([&] { return ready(*agent) == Ready{503, "expired"}; }));
    CHECK(at(agent->ledger_status(kPayments), "withdrawn").as_bool());
  }
  REQUIRE(wait_until([&] { return !scene.decides(embedded) && !scene.opa_decides(); }));
  const CliResult history = stack.notp("alice", {"history", kPayments});
  REQUIRE_MESSAGE(history.status == 0, history.error);
  CHECK(text_at(history.document.at("releases").at(0), "withdrawn").contains("it pays twice"));

  // It stays withdrawn after a restart, and without the registry.
  stack.kill_registry();
  embedded.kill();
  embedded.start();
  CHECK_FALSE(scene.decides_or_not_ready(embedded));
  REQUIRE(wait_until([&] { return ready(embedded) == Ready{503, "expired"}; }));
  stack.start_registry();

  set_single_approval_max(scene.payments, 90'000);
  scene.published({}, 2);
  REQUIRE(stack.becomes_active(embedded, kPayments, 2));
  REQUIRE(stack.becomes_active(with_opa, kPayments, 2));
  CHECK(scene.decides(embedded));
  CHECK(scene.opa_decides());
  CHECK(ready(embedded) == Ready{200, "current"});
}

}  // namespace
}  // namespace notp
