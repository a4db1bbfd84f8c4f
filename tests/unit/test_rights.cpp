#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "notp-server/authz/rights.hpp"

namespace notp {
namespace {

session::IdentityPattern pattern(const std::string& text) {
  return *session::IdentityPattern::parse(text, "core-platform.internal");
}
session::Identity who(session::Role role, const std::string& name) {
  return {"core-platform.internal", role, name};
}

TEST_CASE("a rule says which names of nodes the right to enrol is for") {
  const authz::RightsTable table({
      {.identity = pattern("admin/eve"), .ledgers = {"*/*"}, .actions = {wire::Action::kEnroll}},
      {.identity = pattern("admin/shop-*"),
       .ledgers = {"*/*"},
       .actions = {wire::Action::kEnroll},
       .nodes = {"till-*", "cellar"}},
      {.identity = pattern("admin/shop-*"),
       .ledgers = {"*/*"},
       .actions = {wire::Action::kFleet},
       .nodes = {"*"}},
      {.identity = pattern("admin/nobody"),
       .ledgers = {"*/*"},
       .actions = {wire::Action::kEnroll},
       .nodes = {}},
      {.identity = pattern("node/*"),
       .ledgers = {"*/*"},
       .actions = {wire::Action::kRead, wire::Action::kEnroll}},
  });
  const auto may = [&](const session::Identity& identity, const std::string& node) {
    return table.may_enroll(identity, node).has_value();
  };
  const session::Identity eve = who(session::Role::kAdmin, "eve"),
                          shop = who(session::Role::kAdmin, "shop-7");
  CHECK(may(eve, "till-1"));
  CHECK(may(eve, "gateway"));
  for (const char* node : {"till-1", "till-", "cellar"}) CHECK(may(shop, node));
  for (const char* node : {"gateway", "till", "cellar-2", "atill-1", ""})
    CHECK_FALSE(may(shop, node));
  CHECK_FALSE(may(who(session::Role::kAdmin, "nobody"), "till-1"));
  CHECK_FALSE(may(who(session::Role::kPublisher, "shop-7"), "till-1"));
  CHECK_FALSE(may(who(session::Role::kNode, "till-1"), "till-1"));
  const auto refused = table.may_enroll(shop, "gateway");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(refused.error().message.contains("gateway"));
  CHECK(refused.error().message.contains("'nodes'"));
}

TEST_CASE("only the right to audit lets anyone read recorded decisions") {
  const auto all_but_audit = {wire::Action::kRead,  wire::Action::kPublish, wire::Action::kFleet,
                              wire::Action::kTrust, wire::Action::kEnroll,  wire::Action::kErase};
  const authz::RightsTable table({
      {.identity = pattern("admin/eve"), .ledgers = {"*/*"}, .actions = all_but_audit},
      {.identity = pattern("admin/otto"),
       .ledgers = {"100000000002/*"},
       .actions = {wire::Action::kAudit}},
      {.identity = pattern("admin/ada"), .ledgers = {"*/*"}, .actions = {wire::Action::kAudit}},
      {.identity = pattern("node/*"), .ledgers = {"*/*"}, .actions = {wire::Action::kAudit}},
  });
  const model::LedgerId payments{100'000'000'002, "payments"}, gateway{100'000'000'001, "gateway"};
  const auto may = [&](const session::Identity& identity, const model::LedgerId* ledger) {
    return table.may(identity, wire::Action::kAudit, ledger).has_value();
  };
  const session::Identity eve = who(session::Role::kAdmin, "eve"),
                          otto = who(session::Role::kAdmin, "otto"),
                          ada = who(session::Role::kAdmin, "ada"),
                          node = who(session::Role::kNode, "till-1");
  CHECK_FALSE(may(eve, nullptr));
  CHECK_FALSE(may(eve, &payments));
  CHECK(may(otto, nullptr));
  CHECK(may(otto, &payments));
  CHECK_FALSE(may(otto, &gateway));
  CHECK_FALSE(table.may(otto, wire::Action::kRead, &payments));
  CHECK_FALSE(may(node, nullptr));
  CHECK_FALSE(may(node, &payments));
  CHECK(table.may_everywhere(ada, wire::Action::kAudit));
  CHECK_FALSE(table.may_everywhere(otto, wire::Action::kAudit));
  CHECK_FALSE(table.may_everywhere(eve, wire::Action::kAudit));
  CHECK_FALSE(table.may_everywhere(node, wire::Action::kAudit));
}

TEST_CASE("only the right to erase lets anyone hold or erase recorded decisions") {
  const auto all_but_erase = {wire::Action::kRead,  wire::Action::kPublish, wire::Action::kFleet,
                              wire::Action::kTrust, wire::Action::kEnroll,  wire::Action::kAudit};
  const authz::RightsTable table({
      {.identity = pattern("admin/eve"), .ledgers = {"*/*"}, .actions = all_but_erase},
      {.identity = pattern("admin/otto"),
       .ledgers = {"100000000002/*"},
       .actions = {wire::Action::kErase}},
      {.identity = pattern("admin/ada"), .ledgers = {"*/*"}, .actions = {wire::Action::kErase}},
      {.identity = pattern("node/*"), .ledgers = {"*/*"}, .actions = {wire::Action::kErase}},
  });
  const model::LedgerId payments{100'000'000'002, "payments"}, gateway{100'000'000'001, "gateway"};
  const session::Identity eve = who(session::Role::kAdmin, "eve"),
                          otto = who(session::Role::kAdmin, "otto"),
                          ada = who(session::Role::kAdmin, "ada"),
                          node = who(session::Role::kNode, "till-1");
  const auto refused = table.may(eve, wire::Action::kErase, &payments);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK(refused.error().message.contains("hold or erase recorded decisions about"));
  CHECK(table.may(otto, wire::Action::kErase, &payments));
  CHECK_FALSE(table.may(otto, wire::Action::kErase, &gateway));
  CHECK_FALSE(table.may(otto, wire::Action::kAudit, &payments));
  CHECK_FALSE(table.may_everywhere(otto, wire::Action::kErase));
  CHECK(table.may_everywhere(ada, wire::Action::kErase));
  CHECK_FALSE(table.may(node, wire::Action::kErase, &payments));
  CHECK_FALSE(table.may_everywhere(node, wire::Action::kErase));
}

TEST_CASE("a node ships its records without a rule, and nothing else does") {
  const authz::RightsTable none({});
  CHECK(none.may(who(session::Role::kNode, "till-1"), wire::Action::kRecord, nullptr));
  for (const session::Role role :
       {session::Role::kAdmin, session::Role::kPublisher, session::Role::kRegistry}) {
    const auto refused = none.may(who(role, "eve"), wire::Action::kRecord, nullptr);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kDenied);
  }
  CHECK(authz::parse_action("audit") == wire::Action::kAudit);
  CHECK(authz::parse_action("erase") == wire::Action::kErase);
  for (const char* name : {"record", "review", "renew", ""}) CHECK_FALSE(authz::parse_action(name));
}

}  // namespace
}  // namespace notp
