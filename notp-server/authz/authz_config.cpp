#include "notp-server/authz/authz_config.hpp"

namespace notp::authz {
namespace {

Result<RightsRule> right_of(const std::string& identity, const transport::TlsFiles& tls) {
  NOTP_ASSIGN(session::IdentityPattern who,
              session::IdentityPattern::parse(identity, tls.trust_domain));
  const bool may_be_node =
      tls.identities.may_give(session::Role::kNode, who, tls.trust_domain, tls.has_built_in_ids());
  return RightsRule{
      .identity = std::move(who), .may_be_node = may_be_node, .ledgers = {}, .actions = {}};
}

}  // namespace

Result<std::vector<RightsRule>> load_rights(const config::Section& root,
                                            const transport::TlsFiles& tls) {
  std::vector<RightsRule> rules;
  for (const config::Section& entry : root.sections("rights")) {
    auto right = right_of(entry.text("identity"), tls);
    if (!right) return std::unexpected(std::move(right).error().in("rights"));
    RightsRule rule = *std::move(right);
    rule.ledgers = entry.texts("ledgers");
    for (const std::string& action : entry.texts("actions")) {
      NOTP_ASSIGN(const wire::Action parsed, parse_action(action));
      rule.actions.push_back(parsed);
    }
    if (entry.has("nodes")) rule.nodes = entry.texts("nodes");
    rules.push_back(std::move(rule));
  }
  return rules;
}

Result<std::optional<model::LedgerId>> load_deny_list(const config::Section& root) {
  const std::string text = root.text_or_empty("deny_list");
  if (text.empty()) return std::nullopt;
  NOTP_ASSIGN(model::LedgerId ledger, model::LedgerId::parse(text));
  return ledger;
}

}  // namespace notp::authz
