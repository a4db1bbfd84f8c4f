#include "notp-client/agent/agent_config.hpp"

#include <algorithm>

namespace notp::agent {
namespace {

Result<std::vector<model::LedgerId>> ledgers_of(const config::Section& root) {
  std::vector<model::LedgerId> ledgers;
  for (const std::string& entry : root.texts("ledgers")) {
    NOTP_ASSIGN(model::LedgerId ledger, model::LedgerId::parse(entry));
    if (std::ranges::find(ledgers, ledger) != ledgers.end())
      return fail(ErrorCode::kConfig, "ledgers: " + ledger.text() + " stands twice");
    ledgers.push_back(std::move(ledger));
  }
  return ledgers;
}

}  // namespace

Result<AgentOptions> load_agent(const config::Section& root) {
  AgentOptions out;
  out.trust_domain = root.text("trust_domain");
  out.user_agent = "notp-client/" NOTP_VERSION;
  NOTP_ASSIGN(out.ledgers, ledgers_of(root));
  out.backoff_first_ms = root.integer("backoff.first_ms");
  out.backoff_max_ms = root.integer("backoff.max_ms");
  out.releases_kept = root.size("releases_kept");
  return out;
}

Result<AgentHostOptions> load_agent_host(const config::Section& root,
                                         const Environment& environment) {
  AgentHostOptions out;
  out.registry = root.text("registry");
  NOTP_ASSIGN(const http::ProxyConfig proxy, http::load_proxy(root));
  NOTP_ASSIGN(const HostPort target, HostPort::parse(out.registry));
  NOTP_ASSIGN(out.route, http::choose_proxy(proxy, environment, target));
  auto registry =
      session::IdentityPattern::parse(root.text("registry_identity"), root.text("trust_domain"));
  if (!registry) return std::unexpected(std::move(registry).error().in("registry_identity"));
  out.registry_identity = *std::move(registry);
  return out;
}

}  // namespace notp::agent
