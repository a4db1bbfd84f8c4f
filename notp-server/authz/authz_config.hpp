// The sections `rights` and `deny_list` of the registry's configuration.
#pragma once

#include <optional>
#include <vector>

#include "common/config_section.hpp"
#include "notp-server/authz/rights.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::authz {

// Reads the whole configuration; `tls` defines which identities can have which role. kConfig.
Result<std::vector<RightsRule>> load_rights(const config::Section& root,
                                            const transport::TlsFiles& tls);

// Reads the whole configuration; nullopt: none. kConfig.
Result<std::optional<model::LedgerId>> load_deny_list(const config::Section& root);

}  // namespace notp::authz
