// Opens the registry's tree as its configuration and certificate say.
#pragma once

#include <memory>

#include "common/config.hpp"
#include "notp-server/app/app_config.hpp"
#include "notp-server/audit_tree/registry_tree.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::server {

// Null, and the log says so: the certificate has no identity that could announce a tree. Peers
// refuse it, too, and nodes send nothing to its registry. The errors of RegistryTree::open();
// kConfig: the authorities for calls to witnesses cannot be read.
Result<std::unique_ptr<audit::RegistryTree>> open_tree(
    const ServerConfig& config, std::shared_ptr<const transport::TlsContext> tls,
    const audit::AuditStore& store, const Environment& environment);

}  // namespace notp::server
