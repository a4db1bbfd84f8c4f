// `notp-server backup`, `verify-backup` and `restore`.
#pragma once

#include <string>

#include "notp-server/app/app_config.hpp"

namespace CLI {
class App;
}

namespace notp::server {

struct BackupCommands {
  std::string folder;
  bool with_keys = false;
  CLI::App *backup = nullptr, *verify = nullptr, *restore = nullptr;

  bool is_parsed() const;
  // Whether the parsed command can be run without a configuration.
  bool needs_no_config() const;
};

void add_backup_commands(CLI::App& app, BackupCommands& commands);

// Runs the parsed one: what it does on standard error, and the result on standard output. `config`
// may be null for `verify-backup`. Returns the exit code.
int run_backup_command(const BackupCommands& commands, const ServerConfig* config,
                       const std::string& config_file);

}  // namespace notp::server
