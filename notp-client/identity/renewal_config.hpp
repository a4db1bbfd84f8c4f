// The key `tls.renew` of the agent's configuration.
#pragma once

#include "common/config_section.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::identity {

// Whether the agent renews its certificate, from the whole configuration, whose files `files`
// names. kConfig: certificate and key are not in one file.
Result<bool> load_renewal(const config::Section& root, const transport::TlsFiles& files);

}  // namespace notp::identity
