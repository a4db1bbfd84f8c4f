// notp-swarm: many agents in one process, to load a registry by hand.
#include <fmt/format.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/stopwatch.hpp"
#include "tools/bench/swarm.hpp"

namespace {

using namespace notp;
using namespace notp::bench;

constexpr int kSecondMs = 1'000;
volatile std::sig_atomic_t interrupted = 0;

int failed(const Error& error) {
  fmt::print(stderr, "notp-swarm: {}\n", error.message);
  return error_traits(error.code).exit;
}

struct Arguments {
  std::string registry, pki, root, trust_domain, ledger, json_file, prefix = "swarm";
  std::string commits = "both";
  size_t sessions = 1'000, threads = 1, dials = 64;
  double mute = 0, slow = 0, seconds = 60;
  bool herd = false;
};

void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("--registry", arguments.registry, "Numeric address and port")
      ->type_name("HOST:PORT")
      ->required();
  app.add_option("--pki", arguments.pki,
                 "Folder with ca.crt and ca.key, the authority of nodes and registry")
      ->type_name("DIR")
      ->required();
  app.add_option("--root", arguments.root, "The pinned root")->type_name("FILE")->required();
  app.add_option("--trust-domain", arguments.trust_domain)->type_name("NAME")->required();
  app.add_option("--ledger", arguments.ledger, "That every session follows")
      ->type_name("ZONE/NAME")
      ->required();
  app.add_option("--prefix", arguments.prefix, "Of the nodes' names")->capture_default_str();
  app.add_option("--sessions", arguments.sessions)
      ->check(CLI::Range(size_t{1}, kSwarmSessionsMax))
      ->capture_default_str();
  app.add_option("--threads", arguments.threads)
      ->check(CLI::Range(size_t{1}, kSwarmThreadsMax))
      ->capture_default_str();
  app.add_option("--mute", arguments.mute, "Share of the sessions that never send a Commit")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--slow", arguments.slow, "Share that sends Pings and reads nothing after Welcome")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--commits", arguments.commits, "active: no STORED before ACTIVE")
      ->check(CLI::IsMember({"active", "both"}))
      ->capture_default_str();
  app.add_option("--dials", arguments.dials, "First dials under way at once")
      ->check(CLI::Range(size_t{1}, kSwarmSessionsMax))
      ->capture_default_str();
  app.add_flag("--herd", arguments.herd, "All dial at once");
  app.add_option("--seconds", arguments.seconds, "Until it ends")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  app.add_option("--json", arguments.json_file, "Write the counts here at the end")
      ->type_name("FILE");
}

Result<AgentSwarmPlan> plan_of(const Arguments& arguments) {
  AgentSwarmPlan plan;
  plan.registry = arguments.registry;
  plan.sessions = arguments.sessions;
  plan.threads = arguments.threads;
  plan.mute = arguments.mute;
  plan.slow = arguments.slow;
  plan.dials_max = arguments.herd ? 0 : arguments.dials;
  if (arguments.commits == "active") plan.commits = SwarmCommits::kActive;
  NOTP_ASSIGN(plan.ledger, model::LedgerId::parse(arguments.ledger));
  NOTP_ASSIGN(plan.root, read_file(arguments.root, limits::kEnvelopeBytesMax));
  NOTP_ASSIGN(plan.identities, SwarmIdentities::make({.pki = arguments.pki,
                                                      .trust_domain = arguments.trust_domain,
                                                      .prefix = arguments.prefix,
                                                      .count = arguments.sessions,
                                                      .threads = arguments.threads}));
  return plan;
}

Result<void> run(const Arguments& arguments) {
  NOTP_ASSIGN(AgentSwarmPlan plan, plan_of(arguments));
  NOTP_ASSIGN(const auto swarm, AgentSwarm::start(std::move(plan)));
  swarm->tally().mark(std::chrono::steady_clock::now());
  const Stopwatch watch;
  while (watch.seconds() < arguments.seconds && interrupted == 0) {
    ::poll(nullptr, 0, kSecondMs);
    fmt::print("{:.0f} s: {}\n", watch.seconds(), swarm_text(swarm->tally().counts()));
    std::fflush(stdout);
    if (const auto failure = swarm->tally().failure()) return std::unexpected(*failure);
  }
  if (arguments.json_file.empty()) return {};
  json::object out = swarm_json(swarm->tally().counts());
  const SwarmTally::Marked marked = swarm->tally().marked();
  out["until_welcome"] = marked.welcome.to_json();
  out["until_slow_cut"] = marked.slow_cut.to_json();
  out["distinct_artifacts"] = swarm->distinct_artifacts();
  out["processor_s"] = watch.processor_s();
  return write_file(arguments.json_file, pretty_json(out) + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  CLI::App app("Many agents in one process, over mutual TLS: loads a registry.");
  app.set_version_flag("--version", "notp-swarm " NOTP_VERSION);
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_code::kOk : exit_code::kUsage;
  }
  if (const auto done = run(arguments); !done) return failed(done.error());
  return exit_code::kOk;
}
