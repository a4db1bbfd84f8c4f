// Finds all errors in a registry's configuration and the files that it names.
#pragma once

#include "common/setup_report.hpp"
#include "notp-server/app/app_config.hpp"

namespace notp::server {

// Read-only: a registry may run with the same configuration meanwhile. A start refuses what is
// refused here, and logs the other findings.
SetupReport check_setup(const ServerConfig& config, TimeMs wall_ms);

// What `--check -o json` prints: the findings, and what a look from outside needs to go on: the
// addresses, files and folders that count after defaults and variables.
json::object setup_document(const ServerConfig& config, const SetupReport& report);

}  // namespace notp::server
