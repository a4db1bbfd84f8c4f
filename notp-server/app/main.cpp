// notp-server: the central registry.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "notp-server/app/app.hpp"
#include "notp-server/app/setup_check.hpp"

namespace {

int failed(const notp::Error& error) {
  std::fprintf(stderr, "notp-server: %s\n", error.message.c_str());
  return notp::error_traits(error.code).exit;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  ::umask(0077);  // files that it writes are private
  std::string config_file;
  bool check = false, check_config = false;
  CLI::App app("The NOTP registry: validates, versions, signs for and serves Auth* models.");
  app.set_version_flag("--version", "notp-server " NOTP_VERSION);
  app.add_option("-c,--config", config_file, "configuration file (YAML)")
      ->required()
      ->envname("NOTP_SERVER_CONFIG");
  app.add_flag("--check", check,
               "check the configuration and the files that it names, say all "
               "that a start or a peer would refuse, and exit");
  app.add_flag("--check-config", check_config,
               "check the configuration file alone and exit, as on another machine");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? notp::exit_code::kOk : notp::exit_code::kUsage;
  }
  notp::Environment environment = notp::process_environment();
  environment.erase("NOTP_SERVER_CONFIG");  // names the file; not a property of the configuration
  const auto config = notp::server::ServerConfig::load(config_file, environment);
  if (!config) return failed(config.error());
  if (check_config) {
    std::puts("the configuration file is valid");
    return notp::exit_code::kOk;
  }
  if (check) {
    const notp::SetupReport report = notp::server::check_setup(*config, notp::read_clock().wall_ms);
    std::fputs(report.text().c_str(), report.errors() == 0 ? stdout : stderr);
    return report.errors() == 0 ? notp::exit_code::kOk : notp::exit_code::kUsage;
  }
  notp::log::configure(config->log.level, config->log.format);
  if (auto ended = notp::server::run_server(*config, config_file, environment); !ended)
    return failed(ended.error());
  return notp::exit_code::kOk;
}
