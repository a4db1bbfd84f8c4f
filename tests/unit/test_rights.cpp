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

}  // namespace
}  // namespace notp
