#include "notp-server/app/health_readouts.hpp"

#include <string>
#include <utility>
#include <vector>

#include "protocol/wire/source_names.hpp"

namespace notp::server {

std::function<admin_http::RecoveryHealth()> recovery_health(const recovery::Recovery& recovery) {
  return [&recovery] {
    const recovery::Recovery::Facts facts = recovery.facts();
    admin_http::RecoveryHealth out{.is_restored = facts.losses.is_restored,
                                   .is_running = facts.is_running,
                                   .is_root_lost = facts.losses.has_lost_root};
    for (const auto& [ledger, releases] : facts.losses.lost)
      out.lost_ledgers.push_back(ledger.text());
    for (const model::LedgerId& ledger : facts.losses.forked)
      out.forked_ledgers.push_back(ledger.text());
    return out;
  };
}

admin_http::SourcesHealth sources_health(const sources::Sources* sources) {
  if (sources == nullptr) return nullptr;
  return [sources] {
    std::vector<std::pair<std::string, std::string>> out;
    for (const wire::IssuerStatus& issuer : sources->issuers()->issuers)
      out.emplace_back(issuer.name, wire::source_state_name(issuer.state));
    return out;
  };
}

}  // namespace notp::server
