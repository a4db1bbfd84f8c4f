// Access rights, from the configuration.
#pragma once

#include <string>
#include <vector>

#include "protocol/session/identity.hpp"
#include "protocol/session/ports.hpp"

namespace notp::authz {

// One rule grants `actions` on `ledgers` to the identities that match. Rules only add rights.
struct RightsRule {
  session::IdentityPattern identity;
  bool may_be_node = false;  // whether a node could match
  // Patterns of ledger_matches(). They do not limit "fleet", "trust", "enroll" and "revoke", which
  // are about the whole registry.
  std::vector<std::string> ledgers;
  std::vector<wire::Action> actions;
  // Names of nodes to which "enroll" applies: "edge-1", "edge-*", "*".
  std::vector<std::string> nodes = {"*"};
  bool operator==(const RightsRule&) const = default;
};

// The action of a rule: "read", "publish", "fleet", "trust", "enroll", "audit", "erase", "revoke".
// kConfig with the valid names.
Result<wire::Action> parse_action(std::string_view name);

// Immutable; shared between threads.
class RightsTable {
 public:
  explicit RightsTable(std::vector<RightsRule> rules) : rules_(std::move(rules)) {}

  // kDenied with the identity, the action and the place where the right would be granted. `ledger`
  // is null if the action concerns none, or any. A node may only read, renew its own certificate,
  // and ship the records of its own decisions, whatever a rule says: a stolen edge node must not
  // write, or see what is not published. Any other identity that may read a ledger may review it.
  Result<void> may(const session::Identity& identity, wire::Action action,
                   const model::LedgerId* ledger) const;

  // Whether one rule grants the action on all ledgers, "*/*". A node has no such right.
  bool may_everywhere(const session::Identity& identity, wire::Action action) const;

  // kDenied when no rule lets the identity enrol a node of this name.
  Result<void> may_enroll(const session::Identity& identity, std::string_view node) const;

  const std::vector<RightsRule>& rules() const { return rules_; }

  // Whether one rule lets nodes read both ledgers. Their data roots must then be disjoint.
  bool granted_together(const model::LedgerId& a, const model::LedgerId& b) const;

 private:
  const std::vector<RightsRule> rules_;
};

}  // namespace notp::authz
