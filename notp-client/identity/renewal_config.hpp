// The key `tls.renew` of the agent's configuration.
#pragma once

#include "common/config_section.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// From the whole configuration, whose files `files` names: whether the agent has its certificate
// renewed. kConfig: it is not one file with its key.
Result<bool> load_renewal(const config::Section& root, const TlsFiles& files);

}  // namespace notp
