#include "notp-server/app/open_tree.hpp"

#include <utility>

#include "common/log.hpp"
#include "protocol/transport/announcement_signer.hpp"

namespace notp::server {

Result<std::unique_ptr<audit::RegistryTree>> open_tree(
    const ServerConfig& config, std::shared_ptr<const transport::TlsContext> tls,
    const audit::AuditStore& store, const Environment& environment) {
  const auto& identity = tls->identity();
  if (!identity) {
    log::write(log::Level::kError, "registry_tree_not_opened", identity.error());
    return nullptr;
  }
  audit::RegistryTreeOptions options{
      .seal_ms = config.audit.seal_ms, .witnesses = config.audit.witnesses, .client = {}};
  if (!options.witnesses.empty()) {
    NOTP_ASSIGN(options.client,
                http::Client::open({.tls = {}, .proxy = {}, .environment = environment}));
  }
  auto tree =
      audit::RegistryTree::open(config.audit.folder, store,
                                {.trust_domain = config.trust_domain,
                                 .registry = identity->text(),
                                 .signer = [&tls] { return transport::announcement_signer(tls); }},
                                std::move(options));
  if (!tree) return std::unexpected(std::move(tree).error().in("audit"));
  return *std::move(tree);
}

}  // namespace notp::server
