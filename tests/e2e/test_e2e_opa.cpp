// A real OPA beside the agent, with the configuration that the agent prints and nothing else.
#include <doctest/doctest.h>

#include "common/files.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/test_pki.hpp"

namespace notp {
namespace {

const std::string kTransfer = "payments/transfer/decision";

struct Scene {
  Stack stack;
  Opa opa{stack, free_port()};
  const std::filesystem::path payments = stack.copy_example("payments");
  const json::value transfer = stack.example_question("transfer-750-euros");

  Agent& start() {
    stack.start_registry();
    REQUIRE(stack.published(payments, kPayments) == 1);
    Agent& agent = stack.start_agent({.name = "edge-1",
                                      .ledgers = {kPayments},
                                      .pdp = "opa",
                                      .opa_port = opa.port(),
                                      .registry_identity = "registry/*",
                                      .certificate = {}});
    opa.start(agent);
    require_active(agent, 1);
    return agent;
  }
  bool opa_pays() const {
    const auto decision = opa.decide(kTransfer, transfer);
    return decision && decision->at("allow").as_bool();
  }
  void require_active(const Agent& agent, int64_t version) {
    REQUIRE(wait_until([&] { return agent.has_active(kPayments, version); }));
    REQUIRE(wait_until([&] {
      return number_at(stack.node_ledger(agent, kPayments), "active_version") == version;
    }));
  }
};

TEST_CASE("a change reaches OPA, and the agent forwards questions to it") {
  Scene scene;
  const Agent& agent = scene.start();
  CHECK(scene.opa_pays());
  CHECK(agent.decide(kTransfer, scene.transfer) == scene.opa.decide(kTransfer, scene.transfer));

  scene.stack.apply_example_change(scene.payments, "lower-single-approval-limit");
  REQUIRE(scene.stack.published(scene.payments, kPayments) == 2);
  scene.require_active(agent, 2);
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
  REQUIRE(wait_until([&] { return scene.opa.decide(kTransfer, scene.transfer).has_value(); }));
  CHECK_FALSE(scene.opa_pays());

  scene.stack.start_registry();
  set_single_approval_max(scene.payments, 75'000);
  REQUIRE(scene.stack.published(scene.payments, kPayments) == 2);
  scene.require_active(agent, 2);
  CHECK(scene.opa_pays());
}

TEST_CASE("a release that OPA refuses is reported as rejected, and the last good one stays") {
  Scene scene;
  Stack& stack = scene.stack;
  const Agent& agent = scene.start();
  // OPA's type checker refuses the sum; the registry's engine, like any evaluation, finds it
  // undefined.
  must(write_file(scene.payments / "payments/fees.rego",
                  "package payments.fees\n\nimport rego.v1\n\nfee := 25 + \"cents\"\n"));
  set_single_approval_max(scene.payments, 50'000);
  REQUIRE(stack.published(scene.payments, kPayments) == 2);

  REQUIRE(wait_until(
      [&] { return text_at(stack.node_ledger(agent, kPayments), "state") == "rejected"; }));
  const json::value row = stack.node_ledger(agent, kPayments);
  CHECK(number_at(row, "version") == 2);
  CHECK(number_at(row, "active_version") == 1);
  CHECK(number_at(row, "head_version") == 2);
  CHECK(text_at(row, "error.code") == "pdp_rejected");
  CHECK(text_at(row, "error.message").contains("rego_type_error"));
  CHECK(text_at(row, "error.message").contains("fees.rego:5"));
  CHECK(number_at(agent.ledger_status(kPayments), "rejected_version") == 2);
  CHECK(scene.opa_pays());

  // A new OPA gets the last good one, not the refused one.
  scene.opa.kill();
  scene.opa.start(agent);
  REQUIRE(wait_until([&] { return scene.opa.decide(kTransfer, scene.transfer).has_value(); }));
  CHECK(scene.opa_pays());

  const CliResult back = stack.notp("alice", {"rollback", kPayments, "--to", "v1"});
  REQUIRE_MESSAGE(back.status == 0, back.error);
  scene.require_active(agent, 3);
  CHECK(text_at(stack.node_ledger(agent, kPayments), "state") == "active");
  CHECK(scene.opa_pays());
}

}  // namespace
}  // namespace notp
