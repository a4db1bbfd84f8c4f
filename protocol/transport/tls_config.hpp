// The sections `tls`, `identities` and `identity` of a configuration.
#pragma once

#include "common/config_section.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::transport {

// Reads the whole configuration. kConfig names the entry.
Result<TlsFiles> load_tls(const config::Section& root, const std::string& trust_domain);

}  // namespace notp::transport
