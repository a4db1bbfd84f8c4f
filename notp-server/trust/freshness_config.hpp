// The section `freshness` of the registry's configuration.
#pragma once

#include "common/config_section.hpp"
#include "notp-server/trust/freshness_signer.hpp"

namespace notp::trust {

// kConfig.
Result<FreshnessOptions> load_freshness(const config::Section& freshness);

}  // namespace notp::trust
