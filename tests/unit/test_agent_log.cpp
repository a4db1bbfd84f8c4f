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
  node.core().alarms().on_log_shipped(fork);
  CHECK(node.core().status().log_refused.contains("position 7"));
  CHECK(alarms() == 1);
  size_t raised = 0;
  const auto count = [&] {
    for (const agent::AgentEffect& effect : node.core().take_effects())
      raised += std::holds_alternative<agent::effect::Alarm>(effect);
    return raised;
  };
  CHECK(count() == 1);
  node.core().alarms().on_log_shipped(fork);
  CHECK(count() == 1);
  node.core().alarms().on_log_shipped({});
  CHECK(node.core().status().log_refused.empty());
  node.core().alarms().on_log_shipped(fork);
  CHECK(count() == 2);
  CHECK(alarms() == 1);  // one text, however often
}

TEST_CASE("a refused tree is an alarm while it is refused, also without a session") {
  AgentNode node(samples::signed_by(samples::root(), {1}).encode());
  node.boot();
  const agent::TreeWitness refused{.is_known = true,
                                   .acknowledged = 10,
                                   .witnessed = 5,
                                   .refused = "the registry's tree shrank"};
  node.core().alarms().on_tree(refused, node.now.boot_ms);
  node.core().alarms().on_tree(refused, node.now.boot_ms);
  const std::string shown = node.core().status().tree_refused;
  CHECK(shown.starts_with("the registry's tree shrank: keep this node's spool as evidence"));
  CHECK(node.core().status().alarms == std::vector{shown});
  agent::TreeWitness accepted = refused;
  accepted.refused.clear();
  node.core().alarms().on_tree(accepted, node.now.boot_ms);
  CHECK(node.core().status().tree_refused.empty());
}

TEST_CASE("records that get no receipt are an alarm after five minutes of a session") {
  AgentNode node = node_with_log();
  node.send(grant());
  node.core().alarms().on_tree(
      {.is_granted = true, .is_known = true, .acknowledged = 10, .witnessed = 5, .refused = {}},
      node.now.boot_ms);
  const TimeMs deadline = node.now.boot_ms + agent::kReceiptOverdueMs;
  CHECK(node.core().next_deadline() <= deadline);
  node.now.boot_ms = deadline - 1;
  node.core().on_deadline(node.now);
  CHECK(node.core().status().receipts_overdue.empty());
  node.now.boot_ms = deadline;
  node.core().on_deadline(node.now);
  CHECK(node.core().status().receipts_overdue.contains("acknowledged 10 decision records"));
  CHECK(node.core().next_deadline() > node.now.boot_ms);
  node.core().alarms().on_tree(
      {.is_granted = true, .is_known = true, .acknowledged = 10, .witnessed = 10, .refused = {}},
      node.now.boot_ms);
  CHECK(node.core().status().receipts_overdue.empty());
}

}  // namespace
}  // namespace notp
