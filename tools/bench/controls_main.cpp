// notp-bench-controls: the servers of notp-bench's controls over TLS, which notp-bench starts, and
// each control by itself.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "common/storage/files.hpp"
#include "tools/bench/echo_control.hpp"
#include "tools/bench/echo_server.hpp"
#include "tools/bench/git_fan_control.hpp"
#include "tools/bench/git_server.hpp"
#include "tools/bench/handshake_control.hpp"
#include "tools/bench/opal_control.hpp"
#include "tools/bench/raw_tls_server.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/tls_fan_control.hpp"

namespace {

using namespace notp;
using namespace notp::bench;

constexpr size_t kSessionsMax = 25'000;  // one source address has some 28,000 ports
constexpr size_t kClientsMax = 1'000, kRoundsMax = 1'000, kBytesMax = 16'000;
constexpr double kSecondsMax = 3'600;

struct Arguments {
  std::string folder, json_file, opal;
  size_t sessions = 2'000, bytes = 250, rounds = 10, clients = 200;
  EchoPlan echo;
};

struct Measured {
  std::string text;
  json::object document;
};

void add_sessions(CLI::App& command, Arguments& arguments) {
  command.add_option("--sessions", arguments.sessions)
      ->check(CLI::Range(size_t{1}, kSessionsMax))
      ->capture_default_str();
}

void add_rounds(CLI::App& command, Arguments& arguments) {
  command.add_option("--rounds", arguments.rounds)
      ->check(CLI::Range(size_t{1}, kRoundsMax))
      ->capture_default_str();
}

void add_clients(CLI::App& command, Arguments& arguments) {
  command.add_option("--clients", arguments.clients)
      ->check(CLI::Range(size_t{1}, kClientsMax))
      ->capture_default_str();
}

void add_commands(CLI::App& app, Arguments& arguments) {
  for (const char* name : {"raw", "echo", "git-daemon"})
    app.add_subcommand(name, "A server, as notp-bench starts it")
        ->add_option("FOLDER", arguments.folder, "With its certificates")
        ->required();
  CLI::App* fan = app.add_subcommand("fan-out", "Raw SSL_write to many sessions");
  add_sessions(*fan, arguments);
  add_rounds(*fan, arguments);
  fan->add_option("--bytes", arguments.bytes, "Of one write")
      ->check(CLI::Range(size_t{1}, kBytesMax))
      ->capture_default_str();
  CLI::App* idle = app.add_subcommand("idle", "Sessions at an echo server on asio::ssl::stream");
  add_sessions(*idle, arguments);
  idle->add_option("--seconds", arguments.echo.seconds, "That are measured")
      ->check(CLI::Range(1.0, kSecondsMax))
      ->capture_default_str();
  add_sessions(*app.add_subcommand("herd", "Raw handshakes, all dialled at once"), arguments);
  CLI::App* git = app.add_subcommand("git", "git daemon, and clients that fetch a new commit");
  add_clients(*git, arguments);
  add_rounds(*git, arguments);
  CLI::App* opal = app.add_subcommand("opal", "OPAL's server, and its clients in one process");
  add_clients(*opal, arguments);
  add_rounds(*opal, arguments);
  opal->add_option("--opal", arguments.opal, "What tools/bench/opal-environment prints")
      ->type_name("DIR")
      ->required();
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    if (command->get_option_no_throw("FOLDER") == nullptr)
      command->add_option("--json", arguments.json_file, "Also write the figures here")
          ->type_name("FILE");
}

Result<Measured> measure(const CLI::App& app, const Arguments& arguments) {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  std::error_code failed;
  const ControlOptions options{
      .programs = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path(),
      .folder = scratch->path() / "control",
      .sessions = arguments.sessions};
  if (app.got_subcommand("fan-out")) {
    NOTP_ASSIGN(const auto result, measure_tls_fan(options, arguments.bytes, arguments.rounds));
    return Measured{tls_fan_text(result), tls_fan_json(result)};
  }
  if (app.got_subcommand("idle")) {
    NOTP_ASSIGN(const auto result, measure_echo(options, arguments.echo));
    return Measured{echo_text(result), echo_json(result)};
  }
  if (app.got_subcommand("herd")) {
    NOTP_ASSIGN(const auto result, measure_handshakes(options));
    return Measured{handshake_text(result), handshake_json(result)};
  }
  if (app.got_subcommand("opal")) {
    NOTP_ASSIGN(const auto result, measure_opal({.environment = arguments.opal,
                                                 .folder = options.folder,
                                                 .clients = arguments.clients,
                                                 .rounds = arguments.rounds}));
    return Measured{opal_text(result), opal_json(result)};
  }
  NOTP_ASSIGN(const auto result, measure_git_fan({.folder = options.folder,
                                                  .clients = arguments.clients,
                                                  .rounds = arguments.rounds}));
  return Measured{git_fan_text(result), git_fan_json(result)};
}

Result<void> run(const CLI::App& app, const Arguments& arguments) {
  if (app.got_subcommand("raw")) return serve_raw_tls(arguments.folder);
  if (app.got_subcommand("echo")) return serve_echo(arguments.folder);
  if (app.got_subcommand("git-daemon")) return serve_git(arguments.folder);
  NOTP_ASSIGN(const Measured measured, measure(app, arguments));
  fmt::print("{}", measured.text);
  if (arguments.json_file.empty()) return {};
  return write_file(arguments.json_file, json::serialize(measured.document) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  CLI::App app("The controls of notp-bench's suites fanout, idle and reconnect, by themselves.");
  app.require_subcommand(1);
  Arguments arguments;
  add_commands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : error_traits(ErrorCode::kUsage).exit;
  }
  const auto done = run(app, arguments);
  if (done) return 0;
  fmt::print(stderr, "notp-bench-controls: {}\n", done.error().message);
  return error_traits(done.error().code).exit;
}
