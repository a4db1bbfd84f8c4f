// Runs `--check -o json` of a daemon: what it knows of its own configuration is asked, not written
// again.
#pragma once

#include "common/json/json.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/doctor/diagnosis.hpp"

namespace notp::cli::doctor {

// Adds the daemon's findings, and those of the keys and disks that it names, and returns its
// document (notp-server/app/setup_check.hpp, notp-client/app/setup_check.hpp); nullopt, with a
// finding, when it cannot read its configuration. kUsage when the program cannot be run; kTimeout.
Result<std::optional<json::value>> check_by_daemon(const Context& context, Diagnosis& diagnosis);

}  // namespace notp::cli::doctor
