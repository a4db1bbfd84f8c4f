// A real OPA beside the agent, with only the configuration that the agent prints.
#include <doctest/doctest.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

const std::string kTransfer = "payments/transfer/decision";

const std::string kRoute = "gateway/authz/allow";

struct Scene {
  Stack stack;
  Opa opa{stack, free_port()};
  const std::filesystem::path payments = stack.copy_example("payments");
  const std::filesystem::path gateway = stack.copy_example("api-gateway");
  const json::value transfer = stack.example_question("transfer-750-euros");
  const json::value order = stack.example_question("support-reads-order");

  Agent& start() {
    stack.start_registry();
    REQUIRE(stack.published(payments, kPayments) == 1);
    REQUIRE(stack.published(gateway, kGateway) == 1);
    Agent& agent = stack.start_agent(
        {.name = "edge-1", .ledgers = {kPayments, kGateway}, .pdp = "opa", .opa_port = opa.port()});
    opa.start(agent);
    REQUIRE(stack.becomes_active(agent, kPayments, 1));
    REQUIRE(stack.becomes_active(agent, kGateway, 1));
    return agent;
  }
  // False also while OPA has no model yet.
  bool opa_pays() const {
    const auto decision = opa.decide(kTransfer, transfer);
    return decision && decision->at("allow").as_bool();
  }
  bool opa_routes() const { return opa.decide(kRoute, order) == json::value(true); }
  bool opa_decides() const { return opa.decide(kTransfer, transfer).has_value(); }

  // Adds a policy that OPA's type checker refuses beside the other ledger, a combination that the
  // registry does not check. It also forbids what v1 allows.
  void break_for_opa() const {
    must(write_file(
        payments / "payments/fees.rego",
        "package payments.fees\n\nimport rego.v1\n\nfee := 25 + data.gateway.token.problems\n"));
    set_single_approval_max(payments, 50'000);
  }
  bool is_rejected(const Agent& agent, int64_t version) {
    const json::value row = stack.node_ledger(agent, kPayments);
    return text_at(row, "state") == "rejected" && number_at(row, "version") == version;
  }
};

TEST_CASE("a change reaches OPA, and the agent forwards questions to it") {
  Scene scene;
  const Agent& agent = scene.start();
  CHECK(scene.opa_pays());
  CHECK(agent.decide(kTransfer, scene.transfer) == scene.opa.decide(kTransfer, scene.transfer));

  scene.stack.apply_example_change(scene.payments, "lower-single-approval-limit");
  REQUIRE(scene.stack.published(scene.payments, kPayments) == 2);
  REQUIRE(scene.stack.becomes_active(agent, kPayments, 2));
  CHECK_FALSE(scene.opa_pays());
  CHECK(scene.stack.is_at_head(agent, kPayments));
}

TEST_CASE("OPA decides on without a registry, also when OPA and the agent start anew") {
  Scene scene;
  set_single_approval_max(scene.payments, 50'000);
  Agent& agent = scene.start();
  CHECK_FALSE(scene.opa_pays());

  scene.stack.kill_registry();
  REQUIRE(wait_until([&] { return !at(agent.status(), "connected").as_bool(); }));
  CHECK_FALSE(scene.opa_pays());

  scene.opa.kill();
  agent.kill();
  agent.start();
  scene.opa.start(agent);
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
  CHECK_FALSE(scene.opa_pays());

  scene.opa.kill();
  scene.opa.start(agent);
  REQUIRE(wait_until([&] { return scene.opa_decides(); }));
  CHECK_FALSE(scene.opa_pays());

  scene.stack.start_registry();
  set_single_approval_max(scene.payments, 75'000);
  REQUIRE(scene.stack.published(scene.payments, kPayments) == 2);
  REQUIRE(scene.stack.becomes_active(agent, kPayments, 2));
  CHECK(scene.opa_pays());
}

TEST_CASE("a release that OPA refuses is reported as rejected, and the last good one stays") {
  Scene scene;
  Stack& stack = scene.stack;
  Agent& agent = scene.start();
  scene.break_for_opa();
  REQUIRE(stack.published(scene.payments, kPayments) == 2);

  REQUIRE(wait_until([&] { return scene.is_rejected(agent, 2); }));
  const json::value row = stack.node_ledger(agent, kPayments);
  CHECK(number_at(row, "active_version") == 1);
  CHECK(number_at(row, "head_version") == 2);
  CHECK(text_at(row, "error.code") == "pdp_rejected");
  CHECK(text_at(row, "error.message").contains("rego_type_error"));
  CHECK(text_at(row, "error.message").contains("fees.rego:5"));
  CHECK(number_at(agent.ledger_status(kPayments), "rejected_version") == 2);
  CHECK(scene.opa_pays());

  // The other ledger is not delayed.
  must(write_file(scene.gateway / "gateway/rates/data.yaml",
                  "default: 60\nroles: {shop-frontend: 6000, customer-support: 400, "
                  "logistics-partner: 120}\n"));
  REQUIRE(stack.published(scene.gateway, kGateway) == 2);
  REQUIRE(stack.becomes_active(agent, kGateway, 2));
  CHECK(scene.opa_pays());

  // A new OPA gets the last good release, not the refused one; a new agent remembers which that is.
  scene.opa.kill();
  SUBCASE("a new OPA") {}
  SUBCASE("a new OPA and a new agent") {
    agent.kill();
    agent.start();
  }
  scene.opa.start(agent);
  REQUIRE(wait_until([&] { return scene.opa_decides(); }));
  CHECK(scene.opa_pays());
  CHECK(scene.opa_routes());
  REQUIRE(wait_until([&] { return scene.is_rejected(agent, 2); }));

  const CliResult back = stack.notp("alice", {"rollback", kPayments, "--to", "v1"});
  REQUIRE_MESSAGE(back.status == 0, back.error);
  REQUIRE(stack.becomes_active(agent, kPayments, 3));
  CHECK(scene.opa_pays());
}

TEST_CASE("a refused release that came while OPA was down does not cost the last good one") {
  Scene scene;
  Stack& stack = scene.stack;
  Agent& agent = scene.start();
  scene.opa.kill();
  SUBCASE("the agent ran on") {}
  SUBCASE("the agent was stopped and started") {
    CHECK(agent.stop() == 0);
    agent.start();
  }
  SUBCASE("the agent was killed and started") {
    agent.kill();
    agent.start();
  }
  scene.break_for_opa();
  REQUIRE(stack.published(scene.payments, kPayments) == 2);
  REQUIRE(
      wait_until([&] { return number_at(agent.ledger_status(kPayments), "stored_version") == 2; }));

  scene.opa.start(agent);
  REQUIRE(wait_until([&] { return scene.is_rejected(agent, 2); }));
  REQUIRE(wait_until([&] { return scene.opa_decides() && scene.opa_routes(); }));
  CHECK(scene.opa_pays());
}

}  // namespace
}  // namespace notp
