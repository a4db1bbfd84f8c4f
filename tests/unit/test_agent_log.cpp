// An agent whose decisions are recorded: the offer of its log, and what a refusal shows.
#include "tests/support/agent/agent_node.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp {
namespace {

AgentNode node_with_log() {
  AgentNode node(samples::signed_by(samples::root(), {1}).encode());
  node.boot();
  node.log = wire::samples::log_offer();
  node.connect();
  return node;
}

wire::LogGrant grant() {
  wire::LogGrant out;
  out.log = wire::samples::log_id();
  out.next = 1024;
  out.window_bytes = 1 << 20;
  return out;
}

TEST_CASE("a node offers its log in Hello, and hands on what the registry grants") {
  AgentNode node = node_with_log();
  REQUIRE(node.hellos.back().log);
  CHECK(node.hellos.back().log->size == 2048);
  node.send(grant());
  REQUIRE(node.grants.size() == 1);
  CHECK(node.grants[0].next == 1024);
  node.disconnect();
  node.log.reset();
  node.connect();
  CHECK_FALSE(node.hellos.back().log);
}

TEST_CASE("a refused log is one alarm while it lasts, and ends with a grant") {
  AgentNode node = node_with_log();
  const auto alarms = [&] { return node.core().status().alarms.size(); };
  const Result<void> fork = fail(ErrorCode::kLogFork, "two records at position 7");
  CHECK(node.core().status().log_refused.empty());
  node.core().on_log_shipped(fork, node.now);
  CHECK(node.core().status().log_refused.contains("position 7"));
  CHECK(alarms() == 1);
  size_t raised = 0;
  const auto count = [&] {
    for (const agent::AgentEffect& effect : node.core().take_effects())
      raised += std::holds_alternative<agent::effect::Alarm>(effect);
    return raised;
  };
  CHECK(count() == 1);
  node.core().on_log_shipped(fork, node.now);
  CHECK(count() == 1);
  node.core().on_log_shipped({}, node.now);
  CHECK(node.core().status().log_refused.empty());
  node.core().on_log_shipped(fork, node.now);
  CHECK(count() == 2);
  CHECK(alarms() == 1);  // one text, however often
}

}  // namespace
}  // namespace notp
