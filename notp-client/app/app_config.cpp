#include "notp-client/app/app_config.hpp"

#include "common/config.hpp"
#include "notp-client/agent/agent_config.hpp"
#include "notp-client/identity/renewal_config.hpp"
#include "protocol/transport/tls_config.hpp"
#include "schemas/embedded.hpp"

namespace notp::client {
namespace {

// The settings that SIGHUP does not change.
json::object fixed_part(const json::value& document) {
  json::object fixed = document.as_object();
  for (const std::string_view key : api::ApiConfig::kKeys) fixed.erase(key);
  return fixed;
}

}  // namespace

Result<ClientConfig> ClientConfig::load(const std::filesystem::path& file,
                                        const Environment& environment) {
  NOTP_ASSIGN(const json::value document, load_config({.file = file,
                                                       .schema = schemas::kAgentConfig,
                                                       .env_prefix = "NOTP_CLIENT",
                                                       .environment = environment}));
  const config::Section root(document);
  ClientConfig out;
  out.data_dir = root.text("data_dir");
  out.root = root.text("root");
  out.port_file = root.text_or_empty("port_file");
  out.fixed = fixed_part(document);
  // One line for each component.
  NOTP_ASSIGN(out.agent, agent::load_agent(root));
  NOTP_ASSIGN(out.host, agent::load_agent_host(root, environment));
  NOTP_ASSIGN(out.tls, transport::load_tls(root, out.agent.trust_domain));
  NOTP_ASSIGN(out.renew, identity::load_renewal(root, out.tls));
  NOTP_ASSIGN(out.api, api::ApiConfig::load(root, out.agent.trust_domain));
  NOTP_ASSIGN(out.pdp, pdp::load_pdp(root.section("pdp")));
  NOTP_ASSIGN(out.lane, lane::load_lane(root));
  NOTP_ASSIGN(out.txn_service, txn::load_service(root));
  NOTP_ASSIGN(out.txn_verify, txn::load_verify(root));
  if (out.txn_verify) out.agent.txn = std::make_shared<const rego::TxnRules>(out.txn_verify->rules);
  out.decisions = spool::load_recording(root.section("decisions"), out.data_dir);
  NOTP_ASSIGN(out.log, load_log(root.section("log")));
  return out;
}

}  // namespace notp::client
