#include "tools/bench/fanout_suite.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/swarm_arm.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 300'000;
constexpr int kSettleMs = 1'000;
constexpr double kDisturbing = 0.05;      // mute, and as many slow
constexpr size_t kFrameBytes = 12;        // of an Offer and a Chunk beside the artifact, about
constexpr size_t kFillBytes = 128 << 10;  // fills the sockets of slow readers

void settle() { ::poll(nullptr, 0, kSettleMs); }

// The registry's processor time for a release that goes to no session, in seconds.
Result<double> measure_publishing(SwarmArm& arm, size_t publishes) {
  double registry_s = 0;
  for (size_t i = 0; i < publishes; ++i) {
    NOTP_ASSIGN(const auto prepared, arm.prepare_change());
    NOTP_ASSIGN(const auto watch, SwarmUsageWatch::start(arm.registry_pid()));
    NOTP_TRY(arm.publish(prepared));
    NOTP_ASSIGN(const SwarmUsage usage, watch.read());
    registry_s += usage.registry_s;
  }
  return registry_s / static_cast<double>(publishes);
}

struct RowPlan {
  const char* what;
  SwarmCommits commits = SwarmCommits::kStoredAndActive;
  double mute = 0, slow = 0;
};

// One release, from its first byte until all have it; on call, the Commits are not in the usage.
Result<void> push(SwarmArm& arm, AgentSwarm& swarm, SwarmCommits commits,
                  const Publisher::Prepared& prepared, FanoutRow& row) {
  const uint64_t version = SwarmArm::version_of(prepared);
  SwarmTally& tally = swarm.tally();
  NOTP_ASSIGN(const auto watch, SwarmUsageWatch::start(arm.registry_pid()));
  const SwarmTime from = std::chrono::steady_clock::now();
  tally.expect(version, from);
  NOTP_TRY(arm.publish(prepared));
  row.published.add(ms_between(from, std::chrono::steady_clock::now()));
  NOTP_TRY(tally.await_delivered(version, kPatienceMs));
  NOTP_ASSIGN(SwarmUsage usage, watch.read());
  if (commits == SwarmCommits::kOnCall) swarm.commit_now();
  NOTP_ASSIGN(SwarmPush figures, tally.take(version, kPatienceMs));
  NOTP_TRY(arm.await_active(version, row.sessions[SwarmRole::kAgent], kPatienceMs));
  row.delivered.add(figures.delivered);
  row.spread.add(figures.delivered.percentile(100) - figures.delivered.percentile(0));
  row.artifact_bytes = figures.artifact_bytes;
  if (commits != SwarmCommits::kOnCall) {
    row.all_active.add(ms_between(from, std::chrono::steady_clock::now()));
    row.active.add(figures.active);
    NOTP_ASSIGN(usage, watch.read());
  }
  row.usage += usage;
  return {};
}

// Everybody has what the registry has, and slow readers have full sockets.
Result<void> prepare(SwarmArm& arm, AgentSwarm& swarm, SwarmCommits commits, const FanoutRow& row) {
  SwarmTally& tally = swarm.tally();
  NOTP_TRY(tally.await_welcome(kPatienceMs));
  NOTP_TRY(tally.await_artifacts(row.sessions.sum(), kPatienceMs));
  if (commits == SwarmCommits::kOnCall) swarm.commit_now();
  const uint64_t agents = row.sessions[SwarmRole::kAgent];
  const uint64_t slow = row.sessions[SwarmRole::kSlow];
  NOTP_TRY(arm.await_active(arm.version(), agents + slow, kPatienceMs));
  if (slow == 0) return {};
  NOTP_ASSIGN(const auto fill, arm.prepare_noise(kFillBytes));
  NOTP_TRY(arm.publish(fill));
  return arm.await_active(arm.version(), agents, kPatienceMs);
}

Result<FanoutRow> measure_row(SwarmArm& arm, const SwarmIdentitiesPtr& identities,
                              const FanoutOptions& options, double publish_s, const RowPlan& what) {
  FanoutRow row{.what = what.what};
  NOTP_ASSIGN(AgentSwarmPlan plan, arm.plan(identities));
  plan.threads = options.swarm_threads;
  plan.commits = what.commits;
  plan.mute = what.mute;
  plan.slow = what.slow;
  const Stopwatch connecting;
  NOTP_ASSIGN(const auto swarm, AgentSwarm::start(std::move(plan)));
  row.sessions = swarm->tally().counts().sessions;
  NOTP_TRY(prepare(arm, *swarm, what.commits, row));
  row.connected_s = connecting.seconds();
  options.progress(fmt::format("{}: {} sessions have the newest release after {:.1f} s", row.what,
                               options.sessions, row.connected_s));
  settle();
  for (size_t i = 0; i < options.publishes; ++i) {
    NOTP_ASSIGN(const auto prepared, arm.prepare_change());
    NOTP_TRY(push(arm, *swarm, what.commits, prepared, row));
  }
  row.usage.registry_s =
      std::max(0.0, row.usage.registry_s - publish_s * static_cast<double>(options.publishes));
  row.counts = swarm->tally().counts();
  options.progress(
      fmt::format("{}: {:.1f} us of the registry's processor for a delivery, p99 {:.0f} ms",
                  row.what, row.registry_us_each(), row.delivered.p99()));
  return row;
}

Result<void> measure_rows(const FanoutOptions& options, FanoutResult& result) {
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  NOTP_ASSIGN(const auto arm, SwarmArm::start({.programs = options.programs,
                                               .folder = folder->path(),
                                               .registry_threads = options.registry_threads}));
  NOTP_ASSIGN(const SwarmIdentitiesPtr identities, arm->identities(options.sessions));
  NOTP_ASSIGN(const double publish_s, measure_publishing(*arm, options.publishes));
  result.publish_ms = publish_s * 1e3;
  const auto measure = [&](FanoutRow& into, const RowPlan& what) -> Result<void> {
    NOTP_ASSIGN(into, measure_row(*arm, identities, options, publish_s, what));
    return {};
  };
  NOTP_TRY(measure(result.alone, {.what = "deliveries alone", .commits = SwarmCommits::kOnCall}));
  NOTP_TRY(measure(result.answered, {.what = "with Commits"}));
  NOTP_TRY(measure(result.disturbed,
                   {.what = "5 % mute, 5 % slow", .mute = kDisturbing, .slow = kDisturbing}));
  return {};
}

Result<void> measure_controls(const FanoutOptions& options, FanoutResult& result) {
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  const ControlOptions raw{options.programs, folder->path() / "raw", options.sessions};
  NOTP_ASSIGN(result.raw,
              measure_tls_fan(raw, result.alone.artifact_bytes + kFrameBytes, options.publishes));
  options.progress("control: " + tls_fan_text(result.raw));
  NOTP_ASSIGN(result.git, measure_git_fan({.folder = folder->path() / "git"}));
  options.progress("control: " + git_fan_text(result.git));
  if (options.opal.empty()) return {};
  NOTP_ASSIGN(result.opal, measure_opal({.environment = options.opal}));
  options.progress("control: " + opal_text(*result.opal));
  return {};
}

}  // namespace

Result<FanoutResult> run_fanout(const FanoutOptions& options) {
  FanoutResult result{.sessions = options.sessions, .publishes = options.publishes};
  NOTP_TRY(measure_rows(options, result));
  NOTP_TRY(measure_controls(options, result));
  return result;
}

}  // namespace notp::bench
