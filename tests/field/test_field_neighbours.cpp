// Several ledgers at one node: staging beside production, and functions that ledgers share.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kShop = "100000000000/shop";
const std::string kStaging = "100000000000/shop-staging";
const std::string kLib = "100000000000/lib";
const std::string kAllow = "shop/allow";

fs::path write_model(const Stack& stack, const std::string& folder, const std::string& root,
                     const std::string& policy, const std::string& uses = "[]") {
  const fs::path model = stack.file(folder);
  must(make_folders(model / root));
  must(write_file(model / "manifest.json", fmt::format(R"({{
    "metadata": {{"name": "m"}},
    "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "1.0"}}}}}},
    "partitions": {{"/": {{"runtime": "rego"}}}},
    "roots": ["{}"], "uses": {}}})",
                                                       root, uses)));
  must(write_file(model / root / "policy.rego", policy));
  return model;
}

fs::path shop(const Stack& stack, const std::string& folder, const std::string& user) {
  return write_model(stack, folder, "shop",
                     fmt::format("package shop\n\ndefault allow := false\n\nallow if input.user == "
                                 "\"{}\"\n",
                                 user));
}

// A library of functions, at one version.
fs::path lib(const Stack& stack, const std::string& functions) {
  return write_model(stack, "lib-model", "lib", "package lib.roles\n\n" + functions);
}
const std::string kHas = "has(user, role) if user in data.lib.members[role]\n";
const std::string kHasOfThree = "has(user, role, place) if user in data.lib.members[role][place]\n";

fs::path user_of_lib(const Stack& stack, int least = 1) {
  const fs::path model =
      write_model(stack, "user-model", "shop",
                  "package shop\n\nimport data.lib.roles\n\ndefault allow := false\n\nallow if "
                  "roles.has(input.user, \"clerk\")\n",
                  fmt::format(R"([{{"ledger": "100000000000/lib", "min_version": {}}}])", least));
  must(write_file(model / "shop/policy_test.rego",
                  "package shop\n\ntest_ana if allow with input.user as \"ana\"\n"));
  return model;
}

void write_members(const Stack& stack) {
  must(write_file(stack.file("lib-model") / "lib/data.json",
                  R"({"members": {"clerk": ["ana", "joe"]}})"));
}

bool allows(const Agent& agent, const std::string& user) {
  return agent.decide(kAllow, {{"user", user}}) == json::value(true);
}

json::value ledger_row(const Agent& agent, const std::string& ledger) {
  return agent.ledger_status(ledger);
}

bool has_warning(const CliResult& published, std::string_view rule) {
  const json::value& warnings = at(published.document, "warnings");
  return warnings.is_array() &&
         std::ranges::any_of(warnings.get_array(), [&](const json::value& warning) {
           return text_at(warning, "rule") == rule;
         });
}

TEST_CASE("staging beside production: both are published while no node has both") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(shop(stack, "prod", "ana"), kShop) == 1);
  const CliResult staged = stack.publish(shop(stack, "staging", "joe"), kStaging);
  REQUIRE_MESSAGE(staged.status == 0, staged.error);
  // The right allows nodes to read both.
  CHECK(has_warning(staged, "roots-overlap"));
  const Agent& prod = stack.start_agent({.name = "prod-1", .ledgers = {kShop}});
  const Agent& staging = stack.start_agent({.name = "staging-1", .ledgers = {kStaging}});
  REQUIRE(stack.becomes_active(prod, kShop, 1));
  REQUIRE(stack.becomes_active(staging, kStaging, 1));
  CHECK(allows(prod, "ana"));
  CHECK_FALSE(allows(prod, "joe"));
  CHECK(allows(staging, "joe"));
  CHECK(stack.publish(shop(stack, "staging", "eve"), kStaging).status == 0);
}

TEST_CASE("a publish that overlaps at a node is refused, and names node and ledger") {
  Stack stack;
  stack.start_registry();
  REQUIRE(stack.published(shop(stack, "prod", "ana"), kShop) == 1);
  // It subscribes to a ledger that has no release yet.
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop, kStaging}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  const CliResult refused = stack.publish(shop(stack, "staging", "joe"), kStaging);
  CHECK(refused.status == 3);
  CHECK(refused.error_code() == "roots_overlap");
  CHECK(refused.error_message().contains("node/edge-1"));
  CHECK(refused.error_message().contains(kShop));
  // It persists across a restart, and while the node is away.
  REQUIRE(stack.stop_registry() == 0);
  stack.start_registry();
  CHECK(stack.publish(shop(stack, "staging", "joe"), kStaging).status == 3);
}

TEST_CASE("whatever arrives first, the ledger that stands first in a node's list owns a root") {
  Stack stack;
  stack.start_registry();
  std::vector<std::string> first_in_list{kShop, kStaging};
  std::vector<std::string> first_published = first_in_list;
  SUBCASE("published in that order") {}
  SUBCASE("published in the other order") { std::ranges::reverse(first_published); }
  SUBCASE("listed in the other order") { std::ranges::reverse(first_in_list); }
  const fs::path models[] = {shop(stack, "prod", "ana"), shop(stack, "staging", "joe")};
  const auto model_of = [&](const std::string& ledger) { return models[ledger != kShop]; };
  const std::string owner = first_in_list[0], other = first_in_list[1];
  const std::string owners_user = owner == kShop ? "ana" : "joe";

  // Each release arrives while the node subscribes to the first ledger only, to both, or is not
  // running yet.
  REQUIRE(stack.published(model_of(first_published[0]), first_published[0]) == 1);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {first_published[0]}});
  REQUIRE(stack.becomes_active(agent, first_published[0], 1));
  REQUIRE(stack.published(model_of(first_published[1]), first_published[1]) == 1);
  REQUIRE(agent.stop() == 0);
  agent.use_ledgers(first_in_list);
  const auto is_settled = [&] {
    return agent.has_active(owner, 1) &&
           text_at(ledger_row(agent, other), "error").contains(owner + " v1") &&
           number_at(ledger_row(agent, other), "active_version") == 0;
  };
  for (int starts = 0; starts < 2; ++starts) {
    agent.start();
    REQUIRE(wait_until(is_settled));
    CHECK(allows(agent, owners_user));
    CHECK_FALSE(allows(agent, owners_user == "ana" ? "joe" : "ana"));
    REQUIRE(agent.stop() == 0);
  }
  // From the store, without a registry.
  REQUIRE(stack.stop_registry() == 0);
  agent.start();
  REQUIRE(wait_until(is_settled));
  CHECK(allows(agent, owners_user));
  stack.start_registry();
  REQUIRE(wait_until([&] {
    const json::value row = stack.node_ledger(agent, other);
    return text_at(row, "state") == "rejected" && text_at(row, "error.message").contains(owner);
  }));
}

TEST_CASE("a ledger's functions are used by others, and its publisher is told whom he breaks") {
  Stack stack;
  stack.start_registry();
  fs::path library = lib(stack, kHas);
  write_members(stack);
  const fs::path user = user_of_lib(stack);
  const CliResult too_early = stack.publish(user, kShop);
  CHECK(too_early.status == 3);
  CHECK(too_early.error_message().contains(kLib));
  REQUIRE(stack.published(library, kLib) == 1);
  // On this machine, with the library from the registry or from a folder.
  const CliResult valid = stack.notp("alice", {"validate", user});
  CHECK_MESSAGE(valid.status == 0, valid.output);
  CHECK(number_at(valid.document, "tests.passed") == 1);
  const CliResult local =
      stack.notp("alice", {"validate", user, "--with", kLib + "=" + library.string()});
  CHECK_MESSAGE(local.status == 0, local.output);
  REQUIRE(stack.published(user, kShop) == 1);
  const CliResult shown = stack.notp("alice", {"show", kShop});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(text_at(at(shown.document, "uses").as_array().at(0), "ledger") == kLib);

  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop, kLib}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(allows(agent, "ana"));
  CHECK_FALSE(allows(agent, "eve"));

  lib(stack, kHasOfThree);
  const CliResult refused = stack.publish(library, kLib);
  CHECK(refused.status == 3);
  CHECK(refused.error_message().contains("--break-dependants"));
  CHECK(refused.error_message().contains(kShop));
  CHECK(refused.error_message().contains("shop/policy.rego"));
  const CliResult broken =
      stack.notp("alice", {"publish", library, "--ledger", kLib, "-m", "x", "--break-dependants"});
  REQUIRE_MESSAGE(broken.status == 0, broken.error);
  CHECK(has_warning(broken, "breaks-dependant"));

  // The library is not delayed; its user is withheld, with an error that names both.
  REQUIRE(stack.becomes_active(agent, kLib, 2));
  CHECK(wait_until([&] { return !agent.decide(kAllow, {{"user", "ana"}}).has_value(); }));
  const auto says_why = [&](const std::string& text) {
    return text.contains(kShop + " v1") && text.contains(kLib + " v2");
  };
  CHECK(wait_until([&] { return says_why(text_at(ledger_row(agent, kShop), "error")); }));
  CHECK(wait_until([&] {
    const json::value row = stack.node_ledger(agent, kShop);
    return text_at(row, "state") == "rejected" && says_why(text_at(row, "error.message"));
  }));
  // The same after a restart, without a registry.
  REQUIRE(stack.stop_registry() == 0);
  REQUIRE(agent.stop() == 0);
  agent.start();
  REQUIRE(wait_until([&] { return agent.has_active(kLib, 2); }));
  CHECK(wait_until([&] { return says_why(text_at(ledger_row(agent, kShop), "error")); }));
  CHECK_FALSE(agent.decide(kAllow, {{"user", "ana"}}).has_value());
  stack.start_registry();

  // Once fixed, it decides again.
  lib(stack, kHas);
  REQUIRE(stack.published(library, kLib) == 3);
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(allows(agent, "ana"));
}

TEST_CASE("a release that needs a newer library waits for it, and the one before decides") {
  Stack stack;
  stack.start_registry();
  const fs::path library = lib(stack, kHas);
  write_members(stack);
  REQUIRE(stack.published(library, kLib) == 1);
  REQUIRE(stack.published(user_of_lib(stack), kShop) == 1);
  // Without the library nothing that uses it can be decided.
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(wait_until([&] { return text_at(ledger_row(agent, kShop), "error").contains(kLib); }));
  // Its PDP reports this once it has a policy.
  CHECK(wait_until([&] {
    try {
      return !agent.decide(kAllow, {{"user", "ana"}}).has_value();
    } catch (const std::runtime_error&) {
      return false;
    }
  }));
  REQUIRE(agent.stop() == 0);
  agent.use_ledgers({kShop, kLib});
  agent.start();
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  REQUIRE(stack.becomes_active(agent, kLib, 1));

  const CliResult newer = stack.publish(user_of_lib(stack, 2), kShop);
  CHECK_MESSAGE(newer.status == 3, newer.error);
  CHECK(newer.error_message().contains("v2"));
  must(write_file(library / "lib/more.rego", "package lib.roles\n\nmore(x) := x\n"));
  REQUIRE(stack.published(library, kLib) == 2);
  REQUIRE(stack.published(user_of_lib(stack, 2), kShop) == 2);
  REQUIRE(stack.becomes_active(agent, kShop, 2));
  CHECK(allows(agent, "joe"));
}

TEST_CASE("ledgers do not use each other in a circle, nor what their publisher may not read") {
  Stack stack;
  stack.start_registry();
  const fs::path library = lib(stack, kHas);
  write_members(stack);
  REQUIRE(stack.published(library, kLib) == 1);
  REQUIRE(stack.published(user_of_lib(stack), kShop) == 1);
  const fs::path circle = write_model(stack, "lib-model", "lib", "package lib.roles\n\n" + kHas,
                                      R"([{"ledger": "100000000000/shop"}])");
  const CliResult refused = stack.publish(circle, kLib);
  CHECK_MESSAGE(refused.status == 3, refused.error);
  CHECK(refused.error_message().contains("circle"));
  // A model without declared uses gets a hint; a call of its own function does not.
  const fs::path silent =
      write_model(stack, "silent", "till",
                  "package till\n\nallow if data.lib.roles.has(input.user, \"clerk\")\n");
  const std::string unknown = stack.notp("alice", {"validate", silent}).output;
  CHECK_MESSAGE(unknown.contains("undefined function data.lib.roles.has"), unknown);
  CHECK_MESSAGE(unknown.contains(R"(\"uses\": [{\"ledger\")"), unknown);
  must(write_file(silent / "till/policy.rego", "package till\n\nallow if data.till.has(input)\n"));
  const std::string own = stack.notp("alice", {"validate", silent}).output;
  CHECK_MESSAGE(own.contains("undefined function data.till.has"), own);
  CHECK_FALSE(own.contains("uses"));
}

}  // namespace
}  // namespace notp
