// Wires the registry's parts together and runs them until a signal ends the process.
#pragma once

#include <filesystem>

#include "common/systemd/notifier.hpp"
#include "notp-server/app/app_config.hpp"

namespace notp::server {

// Serves until SIGTERM or SIGINT; SIGHUP, or a change of the files, reloads certificates, rights,
// the freshness key and a root that follows the newest; SIGUSR1 writes backup copies of the
// databases into data_dir/copies. Blocking. Returns errors of the start only; later failures are
// logged and survived.
Result<void> run_server(const ServerConfig& config, const std::filesystem::path& config_file,
                        const Environment& environment, systemd::Notifier notifier);

}  // namespace notp::server
