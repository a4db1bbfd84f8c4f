#include "notp-client/app/setup_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/limits.hpp"
#include "common/rego/host/worker_process.hpp"
#include "common/storage/files.hpp"
#include "notp-client/api/api_tokens.hpp"
#include "notp-client/lane/store/record_seal.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/tls_check.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::client {
namespace {

namespace fs = std::filesystem;
using Kind = SetupFinding::Kind;

bool may(const fs::path& file, int access) {
  return ::faccessat(AT_FDCWD, file.c_str(), access, AT_EACCESS) == 0;
}

void check_registry(const ClientConfig& config, SetupReport& report) {
  const auto at = HostPort::parse(config.host.registry);
  if (!at)
    return report.add(Kind::kRefused, "registry", at.error().message, {}, ErrorCode::kConfig,
                      "registry_address");
  const transport::TlsFiles& tls = config.tls;
  const auto& expected = config.host.registry_identity;
  if (expected && !tls.identities.may_give(session::Role::kRegistry, *expected, tls.trust_domain,
                                           tls.has_built_in_ids()))
    report.add(Kind::kRefused, "registry_identity",
               fmt::format("no certificate can be the registry '{}' here", expected->text()),
               "give its id the role registry under 'identities', or name the authority of ids of "
               "the built-in form as identity.builtin_ca");
  if (const auto good = check_reachable_address(config.host.registry); !good)
    report.add(at->port == 0 ? Kind::kUseless : Kind::kWarning, "registry", good.error().message,
               {}, ErrorCode::kConfig, "registry_address");
}

// An old pinned root is fine for a node whose chain has moved on from it.
void check_root(const ClientConfig& config, TimeMs wall_ms, SetupReport& report) {
  const std::string file = config.root.string();
  const auto envelope = read_file(config.root, limits::kEnvelopeBytesMax);
  if (!envelope)
    return report.add(Kind::kRefused, envelope.error(), kPutFileThere, "file_unreadable");
  const auto root = trust::verify_pinned_root(*envelope, config.agent.trust_domain);
  if (!root)
    return report.add(Kind::kRefused, file, root.error().message, {}, ErrorCode::kConfig,
                      "root_invalid");
  if (root->expires_ms == 0 || wall_ms < root->expires_ms) return;
  std::error_code ignored;
  const bool has_store = fs::exists(config.data_dir / store::kStoreFile, ignored);
  report.add(has_store ? Kind::kWarning : Kind::kUseless, file,
             fmt::format("root v{} expired at {}", root->version, utc_time(root->expires_ms)),
             "put the newest root there, or set this clock", ErrorCode::kConfig, "root_expired");
}

void check_folder_pdp(const pdp::FolderOptions& folder, SetupReport& report) {
  const fs::path parent = folder.link.has_parent_path() ? folder.link.parent_path() : ".";
  std::error_code ignored;
  if (fs::exists(parent, ignored) && !may(parent, W_OK | X_OK))
    report.add(Kind::kUseless, "pdp.folder.path",
               fmt::format("{} cannot be written by this user", parent.string()),
               "give the folder to the user of the agent");
  if (!folder.hook.empty() && folder.hook.front().contains('/') &&
      !(fs::is_regular_file(folder.hook.front(), ignored) && may(folder.hook.front(), X_OK)))
    report.add(Kind::kUseless, "pdp.folder.hook",
               folder.hook.front() + " is not a program that this user may run",
               "install it there, or make it executable");
}

// A lane needs a PDP whose policies can look tokens up, and the key of what it keeps.
void check_lane(const ClientConfig& config, SetupReport& report) {
  if (config.pdp.kind == pdp::PdpKind::kFolder)
    report.add(Kind::kRefused, "lane", "a folder's PDP takes no tokens",
               "use pdp.kind embedded or opa, or remove lane", ErrorCode::kConfig,
               "lane_unsupported");
  if (config.lane->lane.keeps_tokens)
    if (const auto seal = lane::RecordSeal::read(config.lane->key); !seal)
      report.add(Kind::kRefused, seal.error());
}

// The service works without what is a warning here, and rarely as it is meant.
void check_txn_service(const ClientConfig& config, TimeMs wall_ms, SetupReport& report) {
  const txn::ServiceConfig& service = *config.txn_service;
  const http::TlsEndpoint& listen = service.listen.endpoint;
  transport::check_key_pair(listen.certificate, listen.private_key, wall_ms, report);
  transport::check_authorities(listen.client_authorities, report);
  const fs::path& folder = service.folder;
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !may(folder, W_OK | X_OK))
    report.add(Kind::kRefused, "txn.service.keys.folder",
               fmt::format("{} cannot be written by this user", folder.string()),
               "give the folder to the user of the agent");
  if (service.subjects.empty())
    report.add(Kind::kWarning, "txn.service.subjects",
               "no issuer's tokens are taken: workloads get tokens for themselves alone",
               "name the issuers whose tokens may be subject tokens");
  if (!config.decisions.records)
    report.add(Kind::kWarning, "decisions.record",
               "it is false: nothing says later which tokens were issued, and why",
               "let decisions be recorded");
  if (!config.lane)
    report.add(Kind::kWarning, "lane",
               "no token lane is followed: tokens of a subject that was revoked are taken until "
               "they expire",
               "follow the registry's token lane");
}

// Starts and stops the worker.
void check_pdp(const ClientConfig& config, SetupReport& report) {
  const std::string program = rego::worker_program(config.pdp.embedded.engine.worker);
  if (const auto started = rego::WorkerProcess::start({.program = program}); !started)
    report.add(Kind::kUseless, "pdp.worker", started.error().message,
               "install notp-pdp there; without it no release is activated", ErrorCode::kConfig,
               "worker_missing");
  if (config.pdp.kind == pdp::PdpKind::kFolder) check_folder_pdp(config.pdp.folder, report);
  if (config.lane) check_lane(config, report);
  std::error_code ignored;
  if (config.pdp.kind == pdp::PdpKind::kOpa && fs::exists(config.opa_secret(), ignored))
    if (const auto secret = api::read_secret(config.opa_secret()); !secret)
      report.add(Kind::kRefused, secret.error());
}

void check_api(const ClientConfig& config, TimeMs wall_ms, SetupReport& report) {
  if (const auto rules = config.api.access_rules(config.agent.trust_domain); !rules)
    report.add(Kind::kRefused, rules.error());
  if (const auto& socket = config.api.listen_unix) {
    const fs::path folder = socket->path.parent_path();
    if (!may(folder, W_OK | X_OK))
      report.add(Kind::kRefused, "listen_unix.path",
                 fmt::format("no socket can be made in {}", folder.string()),
                 "make that folder, for the user of the agent");
  }
  if (const auto& tls = config.api.listen_tls) {
    transport::check_key_pair(tls->certificate, tls->private_key, wall_ms, report);
    transport::check_authorities(tls->client_authorities, report);
  }
}

}  // namespace

SetupReport check_setup(const ClientConfig& config, TimeMs wall_ms) {
  SetupReport report;
  transport::check_tls(config.tls, transport::Side::kClient, wall_ms, report);
  check_registry(config, report);
  check_root(config, wall_ms, report);
  check_data_folder(config.data_dir.string(), report);
  check_pdp(config, report);
  check_api(config, wall_ms, report);
  if (config.txn_service) check_txn_service(config, wall_ms, report);
  return report;
}

json::object setup_document(const ClientConfig& config, const SetupReport& report) {
  json::array keys{config.tls.private_key.string()};
  if (config.api.listen_tls) keys.emplace_back(config.api.listen_tls->private_key.string());
  if (config.txn_service)
    keys.emplace_back(config.txn_service->listen.endpoint.private_key.string());
  json::array folders{json::object{{"name", "data_dir"}, {"path", config.data_dir.string()}}};
  if (config.decisions.records)
    folders.push_back(
        json::object{{"name", "decisions"}, {"path", config.decisions.folder.string()}});
  const auto& listen = config.api.listen;
  const bool has_address = listen && listen->port != 0;
  const HostPort at = has_address ? HostPort{listen->address, listen->port} : HostPort{};
  return {{"findings", report.document()},
          {"errors", report.errors()},
          {"settings", config.fixed},
          {"route", config.host.route.text()},
          {"keys", std::move(keys)},
          {"folders", std::move(folders)},
          {"status_url", has_address ? fmt::format("http://{}", at.text()) : std::string()},
          {"opa_url", config.pdp.kind == pdp::PdpKind::kOpa ? config.pdp.opa.url : std::string()}};
}

}  // namespace notp::client
