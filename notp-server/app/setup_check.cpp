#include "notp-server/app/setup_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/crypto/certificate.hpp"
#include "common/limits.hpp"
#include "common/rego/host/worker_process.hpp"
#include "common/storage/files.hpp"
#include "notp-server/app/descriptors.hpp"
#include "notp-server/app/open_lanes.hpp"
#include "notp-server/app/open_sources.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/tls_check.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp::server {
namespace {

using Kind = SetupFinding::Kind;

// Starts and stops the worker.
void check_worker(const std::string& configured, SetupReport& report) {
  const auto started = rego::WorkerProcess::start({.program = rego::worker_program(configured)});
  if (!started)
    report.add(Kind::kUseless, "validation.worker", started.error().message,
               "install notp-pdp there; without it nothing can be published", ErrorCode::kConfig,
               "worker_missing");
}

void check_freshness_key(const trust::FreshnessOptions& options, const trust::Root* root,
                         SetupReport& report) {
  const std::string file = options.private_key.string();
  std::optional<PublicKey> own;
  if (!file.empty()) {
    const auto pem = read_file(file, limits::kPemBytesMax);
    if (!pem) return report.add(Kind::kRefused, pem.error(), kPutFileThere, "file_unreadable");
    auto key = PrivateKey::from_pem(*pem);
    if (!key) return report.add(Kind::kRefused, file, key.error().message, {});
    own = key->public_key();
  }
  if (root == nullptr || root->freshness_keys.empty()) return;
  if (!own)
    return report.add(Kind::kUseless, "freshness.private_key",
                      "the root names a freshness key, and none is configured: nodes will age",
                      "name the file of that key", ErrorCode::kConfig, "freshness_key_missing");
  if (std::ranges::find(root->freshness_keys, *own) == root->freshness_keys.end())
    report.add(Kind::kUseless, file,
               fmt::format("is not the freshness key of root v{}: nodes will age", root->version),
               "name the key of that root, or make the next root with this one", ErrorCode::kConfig,
               "freshness_key_wrong");
}

void check_deny_list(const ServerConfig& config, const trust::Root& root, SetupReport& report) {
  if (!config.deny_list) return;
  const bool is_delegated =
      std::ranges::any_of(root.delegations, [&](const trust::Delegation& delegation) {
        return model::ledger_matches(delegation.pattern, *config.deny_list);
      });
  if (!is_delegated)
    report.add(Kind::kUseless, "deny_list",
               fmt::format("root v{} has no publisher for {}, so that no identity can be shut out",
                           root.version, config.deny_list->text()),
               "name a ledger that has a publisher, or give this one to a publisher in the next "
               "root",
               ErrorCode::kConfig, "deny_list_undelegated");
}

void check_root(const ServerConfig& config, TimeMs wall_ms, SetupReport& report) {
  const auto root =
      trust::RootStore::look(config.data_dir / "roots", config.root, config.trust_domain, wall_ms);
  if (!root) report.add(Kind::kRefused, root.error(), {}, "root_invalid");
  check_freshness_key(config.freshness, root ? root->get() : nullptr, report);
  check_sources(config, root ? root->get() : nullptr, report);
  check_lanes(config, root ? root->get() : nullptr, report);
  if (!root) return;
  if ((*root)->expires_ms != 0 && wall_ms >= (*root)->expires_ms)
    report.add(
        Kind::kUseless, config.root.string(),
        fmt::format("root v{}, the newest, expired at {}: no node accepts a release under it",
                    (*root)->version, utc_time((*root)->expires_ms)),
        "publish the next root, or set this clock", ErrorCode::kConfig, "root_expired");
  else if (const std::string soon = trust::root_expiry_text(**root, wall_ms); !soon.empty())
    report.add(Kind::kWarning, config.root.string(), soon, {}, ErrorCode::kConfig,
               "root_ends_soon");
  check_deny_list(config, **root, report);
}

// Checks an address that join tokens carry: the configured one, or else the listener's.
void check_given_out(const std::string& key, const std::string& configured,
                     const std::string& listen_key, const std::string& listen,
                     SetupReport& report) {
  if (!configured.empty()) {
    if (const auto good = check_reachable_address(configured); !good)
      report.add(Kind::kRefused, key, good.error().message, {});
    return;
  }
  const auto at = HostPort::parse(listen);
  if (at && at->is_wildcard())
    report.add(Kind::kRefused, key,
               fmt::format("is absent, and {} is {}, which no node can connect to: join tokens "
                           "would carry it",
                           listen_key, listen),
               fmt::format("set {} to the host:port at which nodes reach this registry", key));
}

void check_enrollment(const ServerConfig& config, TimeMs wall_ms, SetupReport& report) {
  if (!config.enroll) return;
  const enroll::EnrollConfig& enroll = *config.enroll;
  transport::check_listen_address("enroll.listen", enroll.listen, report);
  check_given_out("enroll.address", enroll.address, "enroll.listen", enroll.listen, report);
  check_given_out("enroll.registry", enroll.registry, "listen", config.service.serve.listen,
                  report);
  if (!config.tls.has_built_in_ids())
    report.add(Kind::kRefused, "enroll",
               "nodes that join get ids of the built-in form, which count nowhere while "
               "'identities' has entries and identity.builtin_ca is absent",
               "name the authority of such ids as identity.builtin_ca");
  const auto own = transport::TlsContext::load(config.tls, transport::Side::kServer);
  if (own && (*own)->identity() && !(*own)->identity()->is_built_in())
    report.add(Kind::kRefused, "enroll",
               fmt::format("a node that joins knows no 'identities' and would not accept {} as its "
                           "registry",
                           (*own)->identity()->text()),
               "give this registry a certificate with an id of the built-in form");
  const enroll::NodeCaOptions& authority = enroll.authority;
  const auto certificate = read_file(authority.certificate, limits::kPemBytesMax);
  const auto key = read_file(authority.private_key, limits::kPemBytesMax);
  if (!certificate) report.add(Kind::kRefused, certificate.error(), kPutFileThere);
  if (!key) report.add(Kind::kRefused, key.error(), kPutFileThere);
  if (authority.authorities != config.tls.authorities &&
      authority.authorities != config.tls.built_in_authorities)
    transport::check_authorities(authority.authorities, report);
  if (!certificate || !key) return;
  if (const auto pair = CertificateAuthority::read(*certificate, *key); !pair)
    return report.add(Kind::kRefused, authority.certificate.string(), pair.error().message, {});
  transport::check_key_pair(authority.certificate, authority.private_key, wall_ms, report);
  const transport::TlsFiles& tls = config.tls;
  transport::check_leads_to(
      authority.certificate,
      tls.built_in_authorities.empty() ? tls.authorities : tls.built_in_authorities,
      "this registry would refuse the certificates that it issues", report);
}

}  // namespace

SetupReport check_setup(const ServerConfig& config, TimeMs wall_ms) {
  SetupReport report;
  transport::check_tls(config.tls, transport::Side::kServer, wall_ms, report);
  check_data_folder(config.data_dir.string(), report);
  check_root(config, wall_ms, report);
  transport::check_listen_address("listen", config.service.serve.listen, report);
  if (!config.health_listen.empty() && !config.health_listen.starts_with("localhost:"))
    transport::check_listen_address("health_listen", config.health_listen, report);
  check_enrollment(config, wall_ms, report);
  check_worker(config.validation_worker, report);
  return report;
}

json::object setup_document(const ServerConfig& config, const SetupReport& report) {
  json::array keys{config.tls.private_key.string()};
  if (!config.freshness.private_key.empty())
    keys.emplace_back(config.freshness.private_key.string());
  if (config.enroll) keys.emplace_back(config.enroll->authority.private_key.string());
  if (config.sources) keys.emplace_back(config.sources->key.string());
  if (config.lanes) keys.emplace_back(config.lanes->key.string());
  json::array folders{json::object{{"name", "data_dir"}, {"path", config.data_dir.string()}}};
  if (config.audit.enabled)
    folders.push_back(json::object{{"name", "audit"}, {"path", config.audit.folder.string()}});
  const serve::AdmissionLimits& limits = config.service.serve.limits;
  return {{"findings", report.document()},
          {"errors", report.errors()},
          {"trust_domain", config.trust_domain},
          {"listen", config.service.serve.listen},
          {"health_listen", config.health_listen},
          {"deny_list", config.deny_list ? config.deny_list->text() : std::string()},
          {"keys", std::move(keys)},
          {"folders", std::move(folders)},
          {"sessions", limits.sessions_max},
          {"descriptors_needed", descriptors_for(limits)}};
}

}  // namespace notp::server
