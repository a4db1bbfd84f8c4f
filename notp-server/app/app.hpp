// Wires the registry's parts together and runs them until a signal ends it.
#pragma once

#include <filesystem>

#include "notp-server/app/app_config.hpp"

namespace notp {

// Serves until SIGTERM or SIGINT; SIGHUP, or a change of the files, reloads certificates, rights,
// the freshness key and a root that follows the newest; SIGUSR1 writes copies of the databases, for
// a backup, into data_dir/copies. Blocking. An error is one of the start;
// what fails later is logged and survived.
Result<void> run_server(const ServerConfig& config, const std::filesystem::path& config_file,
                        const Environment& environment);

}  // namespace notp
