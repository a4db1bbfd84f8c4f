// A change from a publisher's folder to decisions of the embedded engine, through the real
// programs, with the registry running and stopped.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

const std::string kTransfer = "payments/transfer/decision";
const std::string kRoute = "gateway/authz/allow";

// Two ledgers at one agent, and the questions of the examples.
struct Scene {
  Stack stack;
  const std::filesystem::path payments = stack.copy_example("payments");
  const std::filesystem::path gateway = stack.copy_example("api-gateway");
  const json::value transfer = stack.example_question("transfer-750-euros");
  const json::value order = stack.example_question("support-reads-order");

  bool pays(const Agent& agent) const {
    const auto decision = agent.decide(kTransfer, transfer);
    return decision && decision->at("allow").as_bool();
  }
  bool routes(const Agent& agent) const { return agent.decide(kRoute, order) == json::value(true); }

  Agent& start_with_both() {
    stack.start_registry();
    Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments, kGateway}});
    REQUIRE(stack.published(payments, kPayments) == 1);
    REQUIRE(stack.published(gateway, kGateway) == 1);
    REQUIRE(stack.becomes_active(agent, kPayments, 1));
    REQUIRE(stack.becomes_active(agent, kGateway, 1));
    return agent;
  }
};

TEST_CASE("before the first release an agent gives no decision") {
  Scene scene;
  scene.stack.start_registry();
  const Agent& agent = scene.stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  CHECK_THROWS(agent.decide(kTransfer, scene.transfer));
}

TEST_CASE("a change reaches the decisions, and a rollback takes it back as a new release") {
  Scene scene;
  Stack& stack = scene.stack;
  const Agent& agent = scene.start_with_both();
  CHECK(scene.pays(agent));
  CHECK(scene.routes(agent));

  stack.apply_example_change(scene.payments, "lower-single-approval-limit");
  REQUIRE(stack.published(scene.payments, kPayments) == 2);
  REQUIRE(stack.becomes_active(agent, kPayments, 2));
  CHECK_FALSE(scene.pays(agent));
  CHECK(scene.routes(agent));

  const CliResult back = stack.notp("alice", {"rollback", kPayments, "--to", "v1"});
  REQUIRE_MESSAGE(back.status == 0, back.error);
  CHECK(number_at(back.document, "version") == 3);
  REQUIRE(stack.becomes_active(agent, kPayments, 3));
  CHECK(scene.pays(agent));
  const auto root_of = [&](const std::string& version) {
    const CliResult shown = stack.notp("alice", {"show", kPayments + "@" + version});
    REQUIRE_MESSAGE(shown.status == 0, shown.error);
    return text_at(shown.document, "content_root");
  };
  CHECK(root_of("v3") == root_of("v1"));
  CHECK(root_of("v3") != root_of("v2"));

  const json::value row = stack.node_ledger(agent, kPayments);
  CHECK(text_at(row, "state") == "active");
  CHECK(number_at(row, "head_version") == 3);
  CHECK(number_at(row, "lag") == 0);
}

TEST_CASE("decisions outlive the registry and a restart of the agent without one") {
  Scene scene;
  Stack& stack = scene.stack;
  stack.apply_example_change(scene.payments, "lower-single-approval-limit");
  Agent& agent = scene.start_with_both();
  CHECK_FALSE(scene.pays(agent));

  stack.kill_registry();
  REQUIRE(wait_until([&] { return !at(agent.status(), "connected").as_bool(); }));
  CHECK_FALSE(scene.pays(agent));
  CHECK(scene.routes(agent));

  SUBCASE("killed") { agent.kill(); }
  SUBCASE("stopped") { CHECK(agent.stop() == 0); }
  agent.start();
  REQUIRE(
      wait_until([&] { return agent.has_active(kPayments, 1) && agent.has_active(kGateway, 1); }));
  CHECK_FALSE(scene.pays(agent));
  CHECK(scene.routes(agent));

  stack.start_registry();
  set_single_approval_max(scene.payments, 75'000);
  REQUIRE(stack.published(scene.payments, kPayments) == 2);
  REQUIRE(stack.becomes_active(agent, kPayments, 2));
  CHECK(scene.pays(agent));
}

TEST_CASE("who is gone is listed as gone, also by a registry that did not see it go") {
  Scene scene;
  Stack& stack = scene.stack;
  Agent& agent = scene.start_with_both();
  CHECK(stack.node(agent).at("connected").as_bool());
  stack.kill_registry();
  agent.kill();
  stack.start_registry();
  CHECK_FALSE(stack.node(agent).at("connected").as_bool());
  CHECK(number_at(stack.node_ledger(agent, kPayments), "active_version") == 1);
  agent.start();
  REQUIRE(wait_until([&] { return stack.node(agent).at("connected").as_bool(); }));
  agent.kill();
  REQUIRE(wait_until([&] { return !stack.node(agent).at("connected").as_bool(); }));
}

TEST_CASE("an agent that is stopped while it loads its model ends") {
  Scene scene;
  scene.stack.start_registry();
  // So many contents that a stop interrupts them.
  constexpr int kFiles = 3'000;
  for (int i = 0; i < kFiles; ++i)
    must(write_file(scene.payments / "payments" / fmt::format("more_{}.rego", i),
                    fmt::format("package payments.more_{}\n\nanswer := {}\n", i, i)));
  REQUIRE(scene.stack.published(scene.payments, kPayments) == 1);
  Agent& agent = scene.stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  REQUIRE(scene.stack.becomes_active(agent, kPayments, 1));
  CHECK(agent.stop() == 0);
  for (int round = 0; round < 3; ++round) {
    agent.start();
    CHECK(agent.stop() == 0);
  }
  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
  CHECK(scene.pays(agent));
}

TEST_CASE("two processes do not share a store") {
  Scene scene;
  Stack& stack = scene.stack;
  const Agent& agent = scene.start_with_both();
  const auto second = [&](const char* program, const std::filesystem::path& config) {
    Process process({.command = {stack.program(program), "--config", config},
                     .folder = stack.folder(),
                     .environment = {{"NOTP_CLIENT_LISTEN", "127.0.0.1:0"},
                                     {"NOTP_SERVER_LISTEN", "127.0.0.1:0"}},
                     .output_file = stack.file("second.out"),
                     .error_file = stack.file("second.err")});
    const auto status = process.wait();
    REQUIRE(status.has_value());
    CHECK(*status != 0);
    return process.error();
  };
  CHECK(second("notp-client", agent.config_file()).contains("is in use by"));
  CHECK(second("notp-server", stack.file("registry.yaml")).contains("another registry"));
  CHECK(scene.pays(agent));
  CHECK(stack.is_at_head(agent, kPayments));
}

TEST_CASE("a model that is not valid is refused with file and line, and changes nothing") {
  Scene scene;
  Stack& stack = scene.stack;
  const Agent& agent = scene.start_with_both();
  must(write_file(scene.payments / "payments/broken.rego",
                  "package payments.broken\n\nimport rego.v1\n\nallow if {\n"));

  const CliResult refused = stack.publish(scene.payments, kPayments);
  CHECK(refused.status == 3);
  CHECK(refused.error_code() == "invalid_model");
  CHECK(refused.error_message().contains("payments/broken.rego:"));
  const CliResult validated = stack.notp("alice", {"validate", scene.payments});
  CHECK(validated.status == 3);

  const json::value row = stack.node_ledger(agent, kPayments);
  CHECK(number_at(row, "head_version") == 1);
  CHECK(number_at(row, "active_version") == 1);
  CHECK(scene.pays(agent));
}

}  // namespace
}  // namespace notp
