// Rights and certificates change without a restart, and a restart does not lose any node.
#include <doctest/doctest.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

json::object right(std::string_view identity, std::initializer_list<std::string_view> actions) {
  return {{"identity", identity},
          {"ledgers", json::array{"*/*"}},
          {"actions", json::array(actions.begin(), actions.end())}};
}

TEST_CASE("rights that were given and taken count from the next message on") {
  Stack stack;
  stack.rights = {right("publisher/alice", {"read", "publish"}), right("admin/*", {"fleet"}),
                  right("publisher/bob", {"read"}), right("node/*", {"read"})};
  stack.write_registry_config();
  stack.start_registry();
  const std::filesystem::path model = stack.copy_example("payments");
  REQUIRE(stack.published(model, kPayments) == 1);
  const Agent& kept = stack.start_agent({.name = "kept", .ledgers = {kPayments}});
  Agent& dropped = stack.start_agent({.name = "dropped", .ledgers = {kPayments}});
  REQUIRE(wait_until(
      [&] { return kept.has_active(kPayments, 1) && dropped.has_active(kPayments, 1); }));
  const auto bob_publishes = [&](int cents) {
    set_single_approval_max(model, cents);
    return stack.notp("bob", {"publish", model, "--ledger", kPayments});
  };
  CHECK(bob_publishes(1'000).status == 5);

  stack.rights = {right("publisher/*", {"read", "publish"}), right("admin/*", {"fleet"}),
                  right("node/kept", {"read"})};
  stack.write_registry_config();
  stack.reload_registry();
  const CliResult allowed = bob_publishes(1'000);
  REQUIRE_MESSAGE(allowed.status == 0, allowed.error);

  // The other node's session is older than the change, and gets no further release.
  REQUIRE(wait_until([&] { return kept.has_active(kPayments, 2); }));
  REQUIRE(wait_until([&] { return stack.count_events("right_refused", "denied") == 1; }));
  CHECK(dropped.has_active(kPayments, 1));

  stack.rights.push_back(right("node/*", {"read"}));
  stack.write_registry_config();
  stack.reload_registry();
  dropped.kill();
  dropped.start();
  REQUIRE(wait_until([&] { return stack.is_at_head(dropped, kPayments); }));
}

TEST_CASE("a registry shows its new certificate without a restart or a signal") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  const Agent& agent = stack.start_agent(
      {.name = "edge-1", .ledgers = {kPayments}, .registry_identity = "registry/second"});
  REQUIRE(wait_until(
      [&] { return text_at(agent.status(), "last_error").contains("expects registry/second"); }));

  // Like a tool that renews certificates: rewrites the same files.
  stack.issue("main", stack.authority(), stack.leaf("registry", "second"));
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
  CHECK(stack.count_events("serving") == 1);
}

TEST_CASE("an agent shows its new certificate without a restart") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  pki::LeafOptions old = stack.leaf("node", "edge-1");
  const TimeMs now = read_clock().wall_ms;
  old.validity = {now - 86'400'000, now - 1'000};
  const std::string stem = stack.issue("edge-1", stack.authority(), old);
  const Agent& agent =
      stack.start_agent({.name = "edge-1", .ledgers = {kPayments}, .certificate = stem});
  REQUIRE(
      wait_until([&] { return text_at(agent.status(), "last_error").contains("out of date"); }));

  stack.issue("edge-1", stack.authority(), stack.leaf("node", "edge-1"));
  REQUIRE(wait_until([&] { return agent.has_active(kPayments, 1); }));
}

TEST_CASE("a configuration that does not load changes nothing") {
  Stack stack;
  stack.start_registry();
  must(write_file(stack.file("registry.yaml"), "rights: [{identity: everybody}]\n"));
  must(write_file(stack.file("pki/main.key"), "not a key\n"));
  // Found by its watch of the files: no signal is sent. Each change is logged once, however many
  // file events it takes.
  REQUIRE(wait_until([&] {
    return stack.count_events("configuration_not_reloaded", "config") == 1 &&
           stack.count_events("certificates_not_reloaded", "config") == 1;
  }));
  CHECK(stack.published(stack.copy_example("payments"), kPayments) == 1);
}

TEST_CASE("a registry that is stopped ends well, and the agents come back to the next one") {
  Stack stack;
  stack.start_registry();
  const std::filesystem::path model = stack.copy_example("payments");
  REQUIRE(stack.published(model, kPayments) == 1);
  Agent& first = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  const Agent& second = stack.start_agent({.name = "edge-2", .ledgers = {kPayments}});
  REQUIRE(wait_until(
      [&] { return first.has_active(kPayments, 1) && second.has_active(kPayments, 1); }));

  CHECK(stack.stop_registry() == 0);
  CHECK(stack.count_events("stopped") == 1);
  REQUIRE(wait_until([&] {
    return !at(first.status(), "connected").as_bool() &&
           !at(second.status(), "connected").as_bool();
  }));
  stack.start_registry();
  set_single_approval_max(model, 1'000);
  REQUIRE(stack.published(model, kPayments) == 2);
  REQUIRE(wait_until(
      [&] { return stack.is_at_head(first, kPayments) && stack.is_at_head(second, kPayments); }));
  CHECK(first.stop() == 0);
}

}  // namespace
}  // namespace notp
