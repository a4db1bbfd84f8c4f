// notp-server: the central registry.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "common/command_tree.hpp"
#include "common/core_dumps.hpp"
#include "common/large_blocks.hpp"
#include "notp-server/app/app.hpp"
#include "notp-server/app/main_backup.hpp"
#include "notp-server/app/setup_check.hpp"
#include "notp-server/backup/restore.hpp"

namespace {

int failed(const notp::Error& error) {
  std::fputs(notp::log::for_stderr(notp::log::Level::kError, "notp-server: " + error.message + "\n")
                 .c_str(),
             stderr);
  return notp::error_traits(error.code).exit;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  notp::return_large_blocks();
  ::umask(0077);  // files that it writes are private
  std::string config_file, format = "text";
  bool check = false, check_config = false;
  CLI::App app("The NOTP registry: validates, versions, signs for and serves Auth* models.");
  app.set_version_flag("--version", "notp-server " NOTP_VERSION);
  notp::add_command_tree_flag(app);
  app.add_option("-c,--config", config_file, "configuration file (YAML)")
      ->type_name("FILE")
      ->envname("NOTP_SERVER_CONFIG");
  app.add_flag("--check", check,
               "check the configuration and the files that it names, say all "
               "that a start or a peer would refuse, and exit");
  app.add_option("-o,--output", format, "what --check prints: text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--check-config", check_config,
               "check the configuration file alone and exit, as on another machine");
  app.fallthrough();  // inherited by the subcommands added below
  notp::server::BackupCommands backup;
  notp::server::add_backup_commands(app, backup);
  try {
    app.parse(argc, argv);
    if (config_file.empty() && !backup.needs_no_config()) throw CLI::RequiredError("--config");
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? notp::exit_code::kOk : notp::exit_code::kUsage;
  }
  if (config_file.empty()) return notp::server::run_backup_command(backup, nullptr, config_file);
  notp::Environment environment = notp::process_environment();
  environment.erase("NOTP_SERVER_CONFIG");  // names the file; not a property of the configuration
  const auto config = notp::server::ServerConfig::load(config_file, environment);
  if (!config) return failed(config.error());
  if (backup.is_parsed()) return notp::server::run_backup_command(backup, &*config, config_file);
  if (check_config) {
    std::puts("the configuration file is valid");
    return notp::exit_code::kOk;
  }
  if (check) {
    const notp::SetupReport report = notp::server::check_setup(*config, notp::read_clock().wall_ms);
    if (format == "json")
      std::puts(notp::json::serialize(notp::server::setup_document(*config, report)).c_str());
    else
      std::fputs(report.text().c_str(), report.errors() == 0 ? stdout : stderr);
    return report.errors() == 0 ? notp::exit_code::kOk : notp::exit_code::kUsage;
  }
  if (auto whole = notp::backup::check_not_interrupted(config->data_dir); !whole)
    return failed(whole.error());
  // Sources of token lanes hand it tokens themselves, some of which it keeps in its memory.
  if (config->lanes)
    if (auto disabled = notp::disable_core_dumps(); !disabled) return failed(disabled.error());
  notp::log::configure(config->log.level, config->log.format);
  auto notifier = notp::systemd::Notifier::take_from_environment();
  if (auto ended = notp::server::run_server(*config, config_file, environment, std::move(notifier));
      !ended)
    return failed(ended.error());
  return notp::exit_code::kOk;
}
