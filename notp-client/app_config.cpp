#include "notp-client/app_config.hpp"

#include <algorithm>
#include <array>

#include "protocol/transport/identity_config.hpp"
#include "schemas/embedded.hpp"

namespace notp {
namespace {

Result<std::vector<LedgerId>> ledgers_of(const json::value& config) {
  std::vector<LedgerId> ledgers;
  for (const json::value& entry : config_find(config, "ledgers")->as_array()) {
    NOTP_ASSIGN(LedgerId ledger, LedgerId::parse(entry.as_string()));
    if (std::ranges::find(ledgers, ledger) != ledgers.end())
      return fail(ErrorCode::kConfig, "ledgers: " + ledger.text() + " stands twice");
    ledgers.push_back(std::move(ledger));
  }
  return ledgers;
}

Result<PdpKind> pdp_of(const json::value& config, FolderOptions& folder, OpaOptions& opa) {
  const std::string kind = config_text(config, "pdp.kind");
  if (kind == "embedded") return PdpKind::kEmbedded;
  if (kind == "opa") {
    if (config_find(config, "pdp.opa.url")) opa.url = config_text(config, "pdp.opa.url");
    if (config_find(config, "pdp.opa.status_poll_ms"))
      opa.status_poll_ms = config_integer(config, "pdp.opa.status_poll_ms");
    return PdpKind::kOpa;
  }
  if (!config_find(config, "pdp.folder.path"))
    return fail(ErrorCode::kConfig, "pdp.folder.path: a PDP of kind folder needs the link's path");
  folder.link = config_text(config, "pdp.folder.path");
  if (const json::value* hook = config_find(config, "pdp.folder.hook"))
    for (const json::value& word : hook->as_array()) folder.hook.emplace_back(word.as_string());
  return PdpKind::kFolder;
}

EmbeddedOptions embedded_of(const json::value& config) {
  EmbeddedOptions out;
  if (const json::value* worker = config_find(config, "pdp.worker"))
    out.engine.worker = worker->as_string();
  out.engine.deadline_ms = config_integer(config, "pdp.embedded.deadline_ms");
  out.engine.memory_bytes =
      static_cast<uint64_t>(config_integer(config, "pdp.embedded.memory_bytes"));
  for (const json::value& entry : config_find(config, "pdp.embedded.deadlines")->as_array())
    out.deadlines_ms[config_text(entry, "path")] = config_integer(entry, "deadline_ms");
  out.builtins = BuiltinGrants(config_find(config, "pdp.embedded.allow")->as_array());
  out.engine.has_network = out.builtins.reach_network();
  return out;
}

Result<http::ProxyRoute> route_of(const json::value& config, const std::string& registry,
                                  const Environment& environment) {
  http::ProxyConfig proxy;
  if (config_find(config, "proxy")) proxy.url = config_text(config, "proxy");
  if (config_find(config, "proxy_password_file")) {
    proxy.password_file = config_text(config, "proxy_password_file");
    if (proxy.url.empty())
      return fail(ErrorCode::kConfig,
                  "proxy_password_file: write the proxy that it is for, proxy: "
                  "http://USER@host:port");
  }
  NOTP_ASSIGN(const HostPort target, HostPort::parse(registry));
  return http::choose_proxy(proxy, environment, target);
}

json::object fixed_part(const json::value& config) {
  constexpr std::array<std::string_view, 10> kChangeable = {
      "listen", "listen_unix", "listen_tls", "health_listen",    "api_token",
      "peps",   "hosts",       "limits",     "default_decision", "authzen"};
  json::object fixed = config.as_object();
  for (const std::string_view name : kChangeable) fixed.erase(name);
  return fixed;
}

}  // namespace

Result<ClientConfig> ClientConfig::load(const std::filesystem::path& file,
                                        const Environment& environment) {
  NOTP_ASSIGN(const json::value config, load_config({.file = file,
                                                     .schema = schemas::kAgentConfig,
                                                     .env_prefix = "NOTP_CLIENT",
                                                     .environment = environment}));
  ClientConfig out;
  out.agent.trust_domain = config_text(config, "trust_domain");
  out.agent.agent = "notp-client/" NOTP_VERSION;
  NOTP_ASSIGN(out.agent.ledgers, ledgers_of(config));
  out.agent.backoff_first_ms = config_integer(config, "backoff.first_ms");
  out.agent.backoff_max_ms = config_integer(config, "backoff.max_ms");
  out.host.registry = config_text(config, "registry");
  NOTP_ASSIGN(out.host.route, route_of(config, out.host.registry, environment));
  out.tls = {config_text(config, "tls.certificate"), config_text(config, "tls.key"),
             config_text(config, "tls.ca"), out.agent.trust_domain};
  NOTP_TRY(read_identities(config, out.tls));
  auto registry =
      IdentityPattern::parse(config_text(config, "registry_identity"), out.agent.trust_domain);
  if (!registry) return std::unexpected(std::move(registry).error().in("registry_identity"));
  out.host.registry_identity = *std::move(registry);
  out.renew = config_find(config, "tls.renew")->as_bool();
  if (out.renew && out.tls.certificate != out.tls.private_key)
    return fail(ErrorCode::kConfig,
                "tls.renew: tls.certificate and tls.key must name one file, which is replaced as a "
                "whole; `notp-client enroll` makes such a one");
  out.data_dir = config_text(config, "data_dir");
  out.root = config_text(config, "root");
  if (config_find(config, "port_file")) out.port_file = config_text(config, "port_file");
  NOTP_ASSIGN(out.api, ApiConfig::read(config, out.agent.trust_domain));
  out.fixed = fixed_part(config);
  NOTP_ASSIGN(out.pdp, pdp_of(config, out.folder, out.opa));
  out.embedded = embedded_of(config);
  out.agent.releases_kept = static_cast<size_t>(config_integer(config, "releases_kept"));
  NOTP_ASSIGN(out.log_level, log::parse_level(config_text(config, "log.level")));
  NOTP_ASSIGN(out.log_format, log::parse_format(config_text(config, "log.format")));
  return out;
}

}  // namespace notp
