// The section `rights` of the registry's configuration.
#pragma once

#include <vector>

#include "common/config_section.hpp"
#include "notp-server/authz/rights.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// Reads the whole configuration; `tls` defines which identities can have which role. kConfig.
Result<std::vector<RightsRule>> load_rights(const config::Section& root, const TlsFiles& tls);

}  // namespace notp
