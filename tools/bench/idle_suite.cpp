#include "tools/bench/idle_suite.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/swarm_arm.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 300'000;
constexpr size_t kTargetSessions = 18'000;  // as many as 20,000 descriptors allow, and more
constexpr double kSessionKb = 20, kCorePercentPer10000 = 1;

void wait_seconds(double seconds) { ::poll(nullptr, 0, static_cast<int>(seconds * 1e3)); }

std::vector<Target> targets(const IdleResult& result) {
  if (result.sessions < kTargetSessions) return {};
  return {{.what = "the registry's memory for a session, KB",
           .figure = result.bytes_each() / 1e3,
           .bound = kSessionKb,
           .control_name = "echo on asio::ssl::stream",
           .control = result.echo.bytes_each() / 1e3},
          {.what = "share of a core for 10,000 sessions, %",
           .figure = result.core_percent() / static_cast<double>(result.sessions) * 10'000,
           .bound = kCorePercentPer10000,
           .control_name = "echo on asio::ssl::stream",
           .control = result.echo.core_percent() / static_cast<double>(result.sessions) * 10'000}};
}
constexpr const char* kNoTargets = "they are for 18,000 sessions and more";

double us_of_renewal(const IdleResult& result) {
  return result.usage.registry_s * 1e6 / std::max<double>(1, static_cast<double>(result.renewals));
}

Result<void> measure(const IdleOptions& options, IdleResult& result) {
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  NOTP_ASSIGN(const auto arm, SwarmArm::start({.programs = options.programs,
                                               .folder = folder->path(),
                                               .registry_threads = options.registry_threads,
                                               .freshness_s = options.freshness_s}));
  NOTP_ASSIGN(AgentSwarmPlan plan, [&]() -> Result<AgentSwarmPlan> {
    NOTP_ASSIGN(auto identities, arm->identities(options.sessions));
    return arm->plan(std::move(identities));
  }());
  plan.threads = options.swarm_threads;
  NOTP_ASSIGN(result.before, own_memory_of(arm->registry_pid()));
  NOTP_ASSIGN(const auto connecting, SwarmUsageWatch::start(arm->registry_pid()));
  NOTP_ASSIGN(const auto swarm, AgentSwarm::start(std::move(plan)));
  SwarmTally& tally = swarm->tally();
  NOTP_TRY(tally.await_welcome(kPatienceMs));
  NOTP_TRY(tally.await_artifacts(options.sessions, kPatienceMs));
  NOTP_ASSIGN(result.connecting, connecting.read());
  options.progress(
      fmt::format("{} sessions after {:.1f} s", options.sessions, result.connecting.wall_s));
  wait_seconds(options.settle_s);
  const uint64_t statements = tally.counts().statements;
  NOTP_ASSIGN(const auto watch, SwarmUsageWatch::start(arm->registry_pid()));
  wait_seconds(options.seconds);
  NOTP_ASSIGN(result.usage, watch.read());
  result.counts = tally.counts();
  result.renewals = result.counts.statements - statements;
  NOTP_ASSIGN(result.with, own_memory_of(arm->registry_pid()));
  if (const uint64_t ended = result.counts.ended.sum(); ended > 0)
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} sessions ended: {}", ended, swarm_text(result.counts)));
  return {};
}

}  // namespace

Result<IdleResult> run_idle(const IdleOptions& options) {
  IdleResult result{.sessions = options.sessions, .freshness_s = options.freshness_s};
  NOTP_TRY(measure(options, result));
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  NOTP_ASSIGN(result.echo,
              measure_echo({options.programs, folder->path() / "echo", options.sessions},
                           {.seconds = options.seconds,
                            .settle_s = options.settle_s,
                            .interval_s = static_cast<double>(options.freshness_s)}));
  options.progress("control: " + echo_text(result.echo));
  return result;
}

std::string idle_table(const IdleResult& result) {
  return fmt::format(
             "{} sessions, a statement each {} s; connected after {:.1f} s, {:.0f} us of the "
             "registry's processor each\n"
             "memory of the registry: {:.1f} MB, without sessions {:.1f} MB: {} bytes each\n"
             "in {:.0f} s: {} statements, {:.2f} % of a core, {:.0f} us each; the swarm {:.1f} %\n",
             grouped(result.sessions), result.freshness_s, result.connecting.wall_s,
             result.connecting.registry_s * 1e6 / static_cast<double>(result.sessions),
             static_cast<double>(result.with.resident_bytes) / 1e6,
             static_cast<double>(result.before.resident_bytes) / 1e6,
             grouped(static_cast<uint64_t>(result.bytes_each())), result.usage.wall_s,
             grouped(result.renewals), result.core_percent(), us_of_renewal(result),
             result.usage.swarm_s / result.usage.wall_s * 100) +
         "control: " + echo_text(result.echo) + targets_table(targets(result), kNoTargets);
}

json::object idle_json(const IdleResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "idle"}};
  add_circumstances(out, labels);
  out["sessions"] = result.sessions;
  out["freshness_s"] = result.freshness_s;
  out["resident_bytes_before"] = result.before.resident_bytes;
  out["resident_bytes"] = result.with.resident_bytes;
  out["bytes_each"] = result.bytes_each();
  out["renewals"] = result.renewals;
  out["renewal_us"] = us_of_renewal(result);
  out["core_percent"] = result.core_percent();
  out["connecting"] = usage_json(result.connecting);
  out["usage"] = usage_json(result.usage);
  out["swarm"] = swarm_json(result.counts);
  out["echo"] = echo_json(result.echo);
  out["targets"] = targets_json(targets(result));
  return out;
}

}  // namespace notp::bench
