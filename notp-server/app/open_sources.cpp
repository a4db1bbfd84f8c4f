#include "notp-server/app/open_sources.hpp"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

#include "common/http/client_tls.hpp"

namespace notp::server {
namespace {

using Kind = SetupFinding::Kind;

void check_ledger(const model::LedgerId& ledger, const trust::Root& root, const PublicKey& key,
                  SetupReport& report) {
  const auto may = sources::check_delegation(root, ledger, key);
  if (!may)
    return report.add(
        Kind::kUseless, "sources.issuers",
        fmt::format("no keys can be published to {}: {}", ledger.text(), may.error().message),
        fmt::format("notp root delegate {} --content keys, with the public half of "
                    "sources.key, then sign and publish that root",
                    ledger.text()),
        ErrorCode::kConfig, "source_key_undelegated");
  if (root.delegation_for(ledger)->content != trust::ContentRule::kKeys)
    report.add(Kind::kWarning, "sources.issuers",
               fmt::format("root v{} lets the source key publish policies to {}, not keys alone",
                           root.version, ledger.text()),
               "delegate it with --content keys in the next root", ErrorCode::kConfig,
               "source_key_unrestricted");
}

void check_files(const sources::IssuerConfig& issuer, SetupReport& report) {
  const std::string what = fmt::format("sources.issuers, {}", issuer.name);
  http::ClientTlsFiles files{.authorities = issuer.ca, .certificate = {}, .private_key = {}};
  if (issuer.auth) {
    files.certificate = issuer.auth->certificate;
    files.private_key = issuer.auth->private_key;
  }
  if (const auto tls = http::ClientTls::load(files); !tls)
    report.add(Kind::kRefused, what, tls.error().message, {});
  if (!issuer.auth) return;
  // Read on each use: the registry starts without them, and fetches no keys.
  if (const auto credentials = oauth::Credentials::read(*issuer.auth); !credentials)
    report.add(Kind::kUseless, what, credentials.error().message, {}, ErrorCode::kConfig,
               "source_auth_unreadable");
}

}  // namespace

Result<std::unique_ptr<sources::Sources>> open_sources(const ServerConfig& config, bool is_volatile,
                                                       registry::Registry& registry,
                                                       trust::RootStore& roots,
                                                       const Environment& environment) {
  if (!config.sources || is_volatile) return nullptr;
  return sources::Sources::open(*config.sources, {.registry = registry,
                                                  .root = [&roots] { return roots.current(); },
                                                  .environment = environment});
}

void check_sources(const ServerConfig& config, const trust::Root* root, SetupReport& report) {
  if (!config.sources) return;
  for (const sources::IssuerConfig& issuer : config.sources->issuers) check_files(issuer, report);
  const auto key = sources::read_source_key(config.sources->key);
  if (!key)
    return report.add(Kind::kRefused, config.sources->key.string(), key.error().message, {},
                      ErrorCode::kConfig, "file_unreadable");
  if (root == nullptr) return;
  std::set<model::LedgerId> ledgers;
  for (const sources::IssuerConfig& issuer : config.sources->issuers) ledgers.insert(issuer.ledger);
  for (const model::LedgerId& ledger : ledgers)
    check_ledger(ledger, *root, key->public_key(), report);
}

}  // namespace notp::server
