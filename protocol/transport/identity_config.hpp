// The sections `identities` and `identity` of a configuration.
#pragma once

#include "common/json.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// Into `files`, whose trust domain is set. kConfig names the entry.
Result<void> read_identities(const json::value& config, TlsFiles& files);

}  // namespace notp
