#include "notp-server/authz/rights.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

namespace notp::authz {
namespace {

// The actions that rules can grant.
constexpr std::array<std::pair<std::string_view, wire::Action>, 8> kActions = {
    {{"read", wire::Action::kRead},
     {"publish", wire::Action::kPublish},
     {"fleet", wire::Action::kFleet},
     {"trust", wire::Action::kTrust},
     {"enroll", wire::Action::kEnroll},
     {"audit", wire::Action::kAudit},
     {"erase", wire::Action::kErase},
     {"revoke", wire::Action::kRevoke}}};

// Matches a name, or a prefix followed by "*".
bool name_matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool covers(const RightsRule& rule, const model::LedgerId& ledger) {
  return std::ranges::any_of(rule.ledgers, [&](const std::string& pattern) {
    return model::ledger_matches(pattern, ledger);
  });
}

bool grants(const RightsRule& rule, wire::Action action) {
  return std::ranges::find(rule.actions, action) != rule.actions.end();
}

// Describes the denied action for a person.
std::string deed(wire::Action action, const model::LedgerId* ledger) {
  const std::string name = ledger ? ledger->text() : "a ledger";
  switch (action) {
    case wire::Action::kRead:
      return "read " + name;
    case wire::Action::kPublish:
      return "publish " + name;
    case wire::Action::kFleet:
      return "read the state of the fleet";
    case wire::Action::kTrust:
      return "publish a root";
    case wire::Action::kEnroll:
      return "let new nodes in";
    case wire::Action::kReview:
      return "see what waits for signatures of " + name;
    case wire::Action::kRenew:
      return "renew a certificate here";
    case wire::Action::kAudit:
      return "read recorded decisions about " + name;
    case wire::Action::kErase:
      return "hold or erase recorded decisions about " + name;
    case wire::Action::kRevoke:
      return "revoke tokens";
    case wire::Action::kRecord:
      return "ship records of decisions";
  }
  return "do this";
}

}  // namespace

Result<wire::Action> parse_action(std::string_view name) {
  const auto found = std::ranges::find(kActions, name, [](const auto& one) { return one.first; });
  if (found != kActions.end()) return found->second;
  std::vector<std::string_view> names;
  for (const auto& one : kActions) names.push_back(one.first);
  return fail(ErrorCode::kConfig,
              fmt::format("'{}' is no action; use one of {}", name, fmt::join(names, ", ")));
}

Result<void> RightsTable::may(const session::Identity& identity, wire::Action action,
                              const model::LedgerId* ledger) const {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kDenied,
                fmt::format("{} may not {}; {}", identity.text(), deed(action, ledger), why));
  };
  const bool node = identity.role == session::Role::kNode;
  if (action == wire::Action::kRenew)
    return node && identity.is_built_in() ? Result<void>{}
                                          : refuse(
                                                "only nodes with an id of the built-in form have "
                                                "certificates of this registry");
  if (action == wire::Action::kRecord)
    return node ? Result<void>{} : refuse("nodes ship the log of their own decisions");
  if (node && action != wire::Action::kRead) return refuse("nodes only read");
  const wire::Action needed = action == wire::Action::kReview ? wire::Action::kRead : action;
  const bool granted = std::ranges::any_of(rules_, [&](const RightsRule& rule) {
    return grants(rule, needed) && rule.identity.covers(identity) &&
           (!ledger || covers(rule, *ledger));
  });
  if (granted) return {};
  return refuse("the registry's configuration grants this under 'rights'");
}

bool RightsTable::may_everywhere(const session::Identity& identity, wire::Action action) const {
  if (identity.role == session::Role::kNode) return false;
  return std::ranges::any_of(rules_, [&](const RightsRule& rule) {
    return grants(rule, action) && rule.identity.covers(identity) &&
           std::ranges::find(rule.ledgers, "*/*") != rule.ledgers.end();
  });
}

Result<void> RightsTable::may_enroll(const session::Identity& identity,
                                     std::string_view node) const {
  NOTP_TRY(may(identity, wire::Action::kEnroll, nullptr));
  const bool granted = std::ranges::any_of(rules_, [&](const RightsRule& rule) {
    return grants(rule, wire::Action::kEnroll) && rule.identity.covers(identity) &&
           std::ranges::any_of(
               rule.nodes, [&](const std::string& pattern) { return name_matches(pattern, node); });
  });
  if (granted) return {};
  return fail(ErrorCode::kDenied,
              fmt::format("{} may not enrol a node with the name {}; the registry's configuration "
                          "says which under 'rights', 'nodes'",
                          identity.text(), printable(node)));
}

bool RightsTable::granted_together(const model::LedgerId& a, const model::LedgerId& b) const {
  return std::ranges::any_of(rules_, [&](const RightsRule& rule) {
    return rule.may_be_node && grants(rule, wire::Action::kRead) && covers(rule, a) &&
           covers(rule, b);
  });
}

}  // namespace notp::authz
