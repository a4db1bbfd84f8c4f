#include "tools/bench/swarm_commands.hpp"

#include "tools/bench/fanout_suite.hpp"
#include "tools/bench/idle_suite.hpp"
#include "tools/bench/reconnect_suite.hpp"
#include "tools/bench/slow_suite.hpp"
#include "tools/bench/swarm.hpp"

namespace notp::bench {
namespace {

using Progress = std::function<void(const std::string&)>;

CLI::App* add(CLI::App& app, SwarmArguments& arguments, const std::string& name,
              const std::string& about) {
  CLI::App* suite = app.add_subcommand(name, about);
  suite->add_option("--json", arguments.json_file, "Also write the figures here")
      ->type_name("FILE");
  suite
      ->add_option("--programs", arguments.programs,
                   "Folder of notp and notp-server (default: this program's)")
      ->type_name("DIR");
  suite->add_option("--registry-threads", arguments.registry_threads)
      ->check(CLI::Range(size_t{1}, kSwarmThreadsMax))
      ->capture_default_str();
  suite->add_option("--swarm-threads", arguments.swarm_threads)
      ->check(CLI::Range(size_t{1}, kSwarmThreadsMax))
      ->capture_default_str();
  return suite;
}

void add_sessions(CLI::App& suite, size_t& sessions) {
  suite.add_option("--sessions", sessions, "Each with an identity of its own")
      ->check(CLI::Range(size_t{1}, kSwarmSessionsMax))
      ->capture_default_str();
}

Result<SuiteReport> fanout(const SwarmArguments& arguments, const std::filesystem::path& programs,
                           const Progress& progress) {
  NOTP_ASSIGN(const FanoutResult result, run_fanout({.programs = programs,
                                                     .sessions = arguments.fanout_sessions,
                                                     .publishes = arguments.publishes,
                                                     .registry_threads = arguments.registry_threads,
                                                     .swarm_threads = arguments.swarm_threads,
                                                     .progress = progress}));
  return SuiteReport{fanout_table(result), fanout_json(result, {})};
}

Result<SuiteReport> idle(const SwarmArguments& arguments, const std::filesystem::path& programs,
                         const Progress& progress) {
  NOTP_ASSIGN(const IdleResult result, run_idle({.programs = programs,
                                                 .sessions = arguments.idle_sessions,
                                                 .seconds = arguments.seconds,
                                                 .settle_s = arguments.settle_s,
                                                 .freshness_s = arguments.freshness_s,
                                                 .registry_threads = arguments.registry_threads,
                                                 .swarm_threads = arguments.swarm_threads,
                                                 .progress = progress}));
  return SuiteReport{idle_table(result), idle_json(result, {})};
}

Result<SuiteReport> reconnect(const SwarmArguments& arguments,
                              const std::filesystem::path& programs, const Progress& progress) {
  NOTP_ASSIGN(const ReconnectResult result,
              run_reconnect({.programs = programs,
                             .sessions = arguments.reconnect_sessions,
                             .registry_threads = arguments.registry_threads,
                             .swarm_threads = arguments.swarm_threads,
                             .progress = progress}));
  return SuiteReport{reconnect_table(result), reconnect_json(result, {})};
}

Result<SuiteReport> slow(const SwarmArguments& arguments, const std::filesystem::path& programs,
                         const Progress& progress) {
  NOTP_ASSIGN(const SlowResult result, run_slow({.programs = programs,
                                                 .slow = arguments.slow,
                                                 .honest = arguments.honest,
                                                 .model_mb = arguments.model_mb,
                                                 .registry_threads = arguments.registry_threads,
                                                 .swarm_threads = arguments.swarm_threads,
                                                 .progress = progress}));
  return SuiteReport{slow_table(result), slow_json(result, {})};
}

}  // namespace

void add_swarm_commands(CLI::App& app, SwarmArguments& arguments) {
  CLI::App* fanout =
      add(app, arguments, "fanout", "Small releases to thousands of sessions, and their Commits");
  add_sessions(*fanout, arguments.fanout_sessions);
  fanout->add_option("--publishes", arguments.publishes, "Releases of each row")
      ->check(CLI::Range(size_t{1}, kFanoutPublishesMax))
      ->capture_default_str();
  fanout
      ->add_option("--opal", arguments.opal,
                   "What tools/bench/opal-environment prints; without it this control is left out")
      ->type_name("DIR");
  CLI::App* idle = add(app, arguments, "idle", "Memory and processor time for open sessions");
  add_sessions(*idle, arguments.idle_sessions);
  idle->add_option("--seconds", arguments.seconds, "That are measured")
      ->check(CLI::Range(1.0, kIdleSecondsMax))
      ->capture_default_str();
  idle->add_option("--settle-s", arguments.settle_s, "Before that")
      ->check(CLI::Range(0.0, kIdleSecondsMax))
      ->capture_default_str();
  idle->add_option("--freshness-s", arguments.freshness_s, "Between two statements to a session")
      ->check(CLI::Range(1, 3'600))
      ->capture_default_str();
  CLI::App* reconnect =
      add(app, arguments, "reconnect", "A registry is killed, and its whole fleet comes back");
  add_sessions(*reconnect, arguments.reconnect_sessions);
  CLI::App* slow =
      add(app, arguments, "slow", "A large model beside readers that send Pings and never read");
  slow->add_option("--slow", arguments.slow, "Sessions that never read")
      ->check(CLI::Range(size_t{1}, kSwarmSessionsMax))
      ->capture_default_str();
  slow->add_option("--honest", arguments.honest, "Sessions that read; each holds the model")
      ->check(CLI::Range(size_t{1}, kSwarmSessionsMax))
      ->capture_default_str();
  slow->add_option("--model-mb", arguments.model_mb, "On the wire")
      ->check(CLI::Range(0.1, kSlowModelMbMax))
      ->capture_default_str();
}

std::optional<Result<SuiteReport>> run_swarm_command(const CLI::App& app,
                                                     const SwarmArguments& arguments,
                                                     const std::filesystem::path& programs,
                                                     const Progress& progress) {
  if (app.got_subcommand("fanout")) return fanout(arguments, programs, progress);
  if (app.got_subcommand("idle")) return idle(arguments, programs, progress);
  if (app.got_subcommand("reconnect")) return reconnect(arguments, programs, progress);
  if (app.got_subcommand("slow")) return slow(arguments, programs, progress);
  return std::nullopt;
}

}  // namespace notp::bench
