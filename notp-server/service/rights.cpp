#include "notp-server/service/rights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace notp {
namespace {

constexpr std::array<std::string_view, 3> kActionNames = {"read", "publish", "fleet"};

// "role/name", where the name may end in "*".
bool identity_matches(std::string_view pattern, const Identity& identity) {
  const std::string whole = fmt::format("{}/{}", role_name(identity.role), identity.name);
  if (!pattern.ends_with('*')) return pattern == whole;
  return whole.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool covers(const RightsRule& rule, const LedgerId& ledger) {
  return std::ranges::any_of(
      rule.ledgers, [&](const std::string& pattern) { return ledger_matches(pattern, ledger); });
}

bool grants(const RightsRule& rule, Action action) {
  return std::ranges::find(rule.actions, action) != rule.actions.end();
}

}  // namespace

std::string_view action_name(Action action) { return kActionNames[static_cast<size_t>(action)]; }

Result<Action> parse_action(std::string_view name) {
  const auto found = std::ranges::find(kActionNames, name);
  if (found == kActionNames.end())
    return fail(ErrorCode::kConfig,
                fmt::format("'{}' is no action; use read, publish or fleet", name));
  return static_cast<Action>(found - kActionNames.begin());
}

Result<void> RightsTable::may(const Identity& identity, Action action,
                              const LedgerId* ledger) const {
  const bool barred = identity.role == Role::kNode && action != Action::kRead;
  const bool granted = !barred && std::ranges::any_of(rules_, [&](const RightsRule& rule) {
    return grants(rule, action) && identity_matches(rule.identity, identity) &&
           (!ledger || covers(rule, *ledger));
  });
  if (granted) return {};
  const std::string what = ledger ? fmt::format("{} {}", action_name(action), ledger->text())
                                  : std::string("read the state of the fleet");
  return fail(ErrorCode::kDenied,
              fmt::format("{} may not {}; {}", identity.text(), what,
                          barred ? "nodes only read"
                                 : "the registry's configuration grants this under 'rights'"));
}

bool RightsTable::granted_together(const LedgerId& a, const LedgerId& b) const {
  return std::ranges::any_of(rules_, [&](const RightsRule& rule) {
    return rule.identity.starts_with("node/") && grants(rule, Action::kRead) && covers(rule, a) &&
           covers(rule, b);
  });
}

}  // namespace notp
