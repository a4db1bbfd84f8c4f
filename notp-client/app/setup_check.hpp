// Finds all errors in an agent's configuration and the files that it names.
#pragma once

#include "common/setup_report.hpp"
#include "notp-client/app/app_config.hpp"

namespace notp::client {

// Read-only: an agent may run with the same configuration meanwhile. A start refuses what is
// refused here, and logs the other findings: a node whose certificate no registry accepts still
// decides with what it has stored.
SetupReport check_setup(const ClientConfig& config, TimeMs wall_ms);

// What `--check -o json` prints: the findings, and what a look from outside needs to go on: the
// settings that count after defaults and variables, keys, folders and the address of the status.
json::object setup_document(const ClientConfig& config, const SetupReport& report);

}  // namespace notp::client
