// All that is wrong with an agent's configuration and the files that it names.
#pragma once

#include "common/setup_report.hpp"
#include "notp-client/app/app_config.hpp"

namespace notp {

// Reads, and changes nothing: an agent may run with the same configuration meanwhile. A start
// refuses what is refused here, and says the rest in its log: a node whose certificate no registry
// takes still decides with what it has.
SetupReport check_setup(const ClientConfig& config, TimeMs wall_ms);

}  // namespace notp
