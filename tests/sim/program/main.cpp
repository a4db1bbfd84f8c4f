// notp-sim: runs simulated fleets from seeds and reports violated invariants. A failing seed
// replays with `notp-sim --seed N --trace`.
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "tests/sim/audit_verify.hpp"
#include "tests/sim/delegation_world.hpp"
#include "tests/sim/lane_world.hpp"
#include "tests/sim/program/report.hpp"
#include "tests/sim/program/world_campaign.hpp"

namespace {

using std::chrono::steady_clock;

constexpr int kExitInterrupted = 130;  // the shell's status for SIGINT

// A line that overwrites itself on a terminal; elsewhere, one line a minute.
class Progress {
 public:
  explicit Progress(uint64_t seeds) : seeds_(seeds) {}

  void show(const notp::sim::Campaign& campaign) {
    const auto now = steady_clock::now();
    if (seeds_ == 1 || now < next_) return;
    next_ = now + (is_terminal_ ? std::chrono::milliseconds(500) : std::chrono::minutes(1));
    fmt::print(stderr, "{}{}{}", is_terminal_ ? "\r\x1b[K" : "", progress_line(campaign, seeds_),
               is_terminal_ ? "" : "\n");
    std::fflush(stderr);
    shown_ = true;
  }
  void end() const {
    if (is_terminal_ && shown_) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  const uint64_t seeds_;
  const bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  steady_clock::time_point next_ = steady_clock::now() + std::chrono::seconds(1);
  bool shown_ = false;
};

// Waits for SIGINT and SIGTERM, blocked in every thread, until it is destroyed.
class Interruption {
 public:
  Interruption() {
    ::sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM}) ::sigaddset(&signals_, signal);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::jthread([this](const std::stop_token& ended) {
      constexpr timespec kLook{0, 100'000'000};
      while (!ended.stop_requested())
        if (::sigtimedwait(&signals_, nullptr, &kLook) > 0) stop_.request_stop();
    });
  }
  std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_{};
  std::stop_source stop_;
  std::jthread thread_;
};

template <typename Campaign>
int print(const Campaign& campaign, uint64_t first, uint64_t seeds, bool as_json) {
  if (as_json)
    std::puts(notp::json::serialize(report_json(campaign, first, seeds)).c_str());
  else
    fmt::print("{}", report_text(campaign, first, seeds));
  if (!campaign.red.empty()) return 1;
  return campaign.done < seeds ? kExitInterrupted : 0;
}

}  // namespace

int main(int argc, char** argv) {
  notp::sim::CampaignOptions options{.world = {}, .seeds = 1, .jobs = 1};
  bool trace = false, calm = false, as_json = false, lanes = false;
  uint64_t delegations = 0;
  int64_t outage_days = 0;
  CLI::App app("Simulates fleets of agents under faults; checks the invariants.");
  app.add_option("--seed", options.world.seed, "first seed")->capture_default_str();
  app.add_option("--seeds", options.seeds, "how many seeds, one after the other")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("-j,--jobs", options.jobs, "how many of them at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--agents", options.world.agents, "agents in a world")->capture_default_str();
  app.add_option("--publishes", options.world.publishes, "releases published")
      ->capture_default_str();
  app.add_option("--outage-days", outage_days,
                 "the registry is gone for so long, and nothing else");
  app.add_flag("--restores", options.world.restores,
               "the registry is restored from a copy of before, and recovered from its nodes");
  app.add_flag("--lanes", lanes, "token lanes instead: sources, a registry and five nodes");
  app.add_option("--delegations", delegations,
                 "transaction tokens instead: so many delegations in a world");
  std::vector<std::string> attacks;
  for (size_t attack = 1; attack < notp::sim::kTreeAttacks; ++attack)
    attacks.emplace_back(tree_attack_name(static_cast<notp::sim::TreeAttack>(attack)));
  std::string attack;
  app.add_option("--lie", attack, "what the registry does to decision records, and nothing else")
      ->check(CLI::IsMember(attacks));
  CLI::Option* tracing = app.add_flag("--trace", trace, "print every event");
  app.add_flag("--no-faults", calm, "a world in which nothing breaks");
  app.add_flag("--ed25519", options.world.ed25519,
               "libcrypto makes and verifies each signature, nothing is remembered: slower, the "
               "same worlds");
  app.add_flag("--json", as_json, "the summary as one JSON document")->excludes(tracing);
  app.footer(
      "Interrupted, it ends the worlds under way and says what they were, with exit code 130.");
  CLI11_PARSE(app, argc, argv);
  for (size_t number = 0; number < attacks.size(); ++number)
    if (attacks[number] == attack)
      options.world.tree_attack = static_cast<notp::sim::TreeAttack>(number + 1);
  options.world.verify = notp::sim::verify_audit;
  options.world.faults = !calm;
  options.world.outage_ms = outage_days * 24 * 3600 * 1000;
  if (trace) {
    options.world.trace = [](const std::string& line) { std::fputs(line.c_str(), stdout); };
    options.jobs = 1;
  }

  const Interruption interruption;
  const uint64_t first = options.world.seed;
  const auto run = [&](auto& world, const auto& world_options) {
    return print(
        run_worlds(world, world_options, options.seeds, options.jobs, interruption.token()), first,
        options.seeds, as_json);
  };
  if (lanes)
    return run(notp::sim::run_lane_world,
               notp::sim::LaneWorldOptions{
                   .seed = first, .faults = options.world.faults, .trace = options.world.trace});
  if (delegations > 0)
    return run(notp::sim::run_delegation_world,
               notp::sim::DelegationWorldOptions{.seed = first,
                                                 .delegations = delegations,
                                                 .faults = options.world.faults,
                                                 .trace = options.world.trace});
  Progress progress(options.seeds);
  const notp::sim::Campaign campaign =
      run_campaign(options, interruption.token(),
                   [&](const notp::sim::Campaign& so_far) { progress.show(so_far); });
  progress.end();
  return print(campaign, first, options.seeds, as_json);
}
