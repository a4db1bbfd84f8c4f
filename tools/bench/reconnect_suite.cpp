#include "tools/bench/reconnect_suite.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/swarm_arm.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 300'000;
constexpr int kSettleMs = 3'000;
constexpr size_t kTargetSessions = 10'000;
constexpr double kBackS = 6, kIdlePercent = 10;

uint64_t timeouts(const ReconnectResult& result) {
  return result.after.dials_ended(SwarmDialEnd::kTimeout) -
         result.before.dials_ended(SwarmDialEnd::kTimeout);
}
uint64_t refused(const ReconnectResult& result) {
  return result.after.dials_ended(SwarmDialEnd::kRefused) -
         result.before.dials_ended(SwarmDialEnd::kRefused);
}
// Of the machine's processors.
double idle_percent(const SwarmUsage& usage) {
  const auto cores = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
  return usage.idle_s / std::max(usage.wall_s * cores, 1e-9) * 100;
}

std::vector<Target> targets(const ReconnectResult& result) {
  if (result.sessions < kTargetSessions) return {};
  return {
      {.what = "until all are back, s",
       .figure = result.back_s(100),
       .bound = kBackS,
       .control_name = "handshakes alone",
       .control = result.handshakes.wall_s},
      {.what = "dials that timed out", .figure = static_cast<double>(timeouts(result)), .bound = 0},
      {.what = "idle processors while somebody waits, %",
       .figure = idle_percent(result.usage),
       .bound = kIdlePercent}};
}
constexpr const char* kNoTargets = "they are for 10,000 sessions";

Result<void> kill_and_await(SwarmArm& arm, SwarmTally& tally, ReconnectResult& result) {
  const SwarmTime killed = std::chrono::steady_clock::now();
  result.before = tally.counts();
  tally.mark(killed);
  arm.kill_registry();
  NOTP_TRY(arm.start_registry());
  result.away_s = ms_between(killed, std::chrono::steady_clock::now()) / 1e3;
  NOTP_ASSIGN(const auto watch, SwarmUsageWatch::start(arm.registry_pid()));
  NOTP_TRY(tally.await_back(result.sessions, kPatienceMs));
  NOTP_ASSIGN(result.usage, watch.read());
  result.back = tally.marked().welcome;
  result.after = tally.counts();
  return {};
}

Result<void> measure(const ReconnectOptions& options, ReconnectResult& result) {
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  NOTP_ASSIGN(const auto arm, SwarmArm::start({.programs = options.programs,
                                               .folder = folder->path(),
                                               .registry_threads = options.registry_threads}));
  NOTP_ASSIGN(const SwarmIdentitiesPtr identities, arm->identities(options.sessions));
  NOTP_ASSIGN(AgentSwarmPlan plan, arm->plan(identities));
  plan.threads = options.swarm_threads;
  plan.dials_max = 0;
  NOTP_ASSIGN(const auto watch, SwarmUsageWatch::start(arm->registry_pid()));
  const SwarmTime start = std::chrono::steady_clock::now();
  NOTP_ASSIGN(const auto swarm, AgentSwarm::start(std::move(plan)));
  SwarmTally& tally = swarm->tally();
  tally.mark(start);
  NOTP_TRY(tally.await_welcome(kPatienceMs));
  NOTP_ASSIGN(result.herd_usage, watch.read());
  result.herd = tally.marked().welcome;
  NOTP_TRY(tally.await_artifacts(options.sessions, kPatienceMs));
  options.progress(fmt::format("{} sessions at once: all welcome after {:.1f} s", options.sessions,
                               result.herd_usage.wall_s));
  ::poll(nullptr, 0, kSettleMs);
  return kill_and_await(*arm, tally, result);
}

}  // namespace

Result<ReconnectResult> run_reconnect(const ReconnectOptions& options) {
  ReconnectResult result{.sessions = options.sessions};
  NOTP_TRY(measure(options, result));
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  NOTP_ASSIGN(result.handshakes,
              measure_handshakes({options.programs, folder->path() / "raw", options.sessions}));
  options.progress("control: " + handshake_text(result.handshakes));
  return result;
}

std::string reconnect_table(const ReconnectResult& result) {
  const auto row = [&](const char* what, double p50, double p99, double last,
                       const SwarmUsage& usage) {
    return fmt::format("{:<28}{:>8.2f}{:>8.2f}{:>8.2f}{:>12.0f}{:>12.0f}{:>10.1f}{:>10.1f}\n", what,
                       p50, p99, last,
                       usage.registry_s * 1e6 / static_cast<double>(result.sessions),
                       usage.swarm_s * 1e6 / static_cast<double>(result.sessions),
                       usage.registry_s / std::max(usage.wall_s, 1e-9) * 100, idle_percent(usage));
  };
  return fmt::format(
             "{} sessions; until Welcome, in s\n{:<28}{:>8}{:>8}{:>8}{:>12}{:>12}{:>10}{:>10}\n",
             grouped(result.sessions), "", "p50", "p99", "last", "us each", "swarm us", "core %",
             "idle %") +
         row("all at once", result.herd.p50() / 1e3, result.herd.p99() / 1e3,
             result.herd.percentile(100) / 1e3, result.herd_usage) +
         row("after kill -9 and a start", result.back_s(50), result.back_s(99), result.back_s(100),
             result.usage) +
         fmt::format(
             "the registry was away for {:.2f} s; dials meanwhile: {} found the port closed, "
             "{} timed out, {} were refused\n",
             result.away_s,
             result.after.dials_ended(SwarmDialEnd::kPortClosed) -
                 result.before.dials_ended(SwarmDialEnd::kPortClosed),
             timeouts(result), refused(result)) +
         "control: " + handshake_text(result.handshakes) +
         targets_table(targets(result), kNoTargets);
}

json::object reconnect_json(const ReconnectResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "reconnect"}};
  add_circumstances(out, labels);
  out["sessions"] = result.sessions;
  out["away_s"] = result.away_s;
  out["herd"] = result.herd.to_json();
  out["herd_usage"] = usage_json(result.herd_usage);
  out["back"] = json::object{
      {"p50_s", result.back_s(50)}, {"p99_s", result.back_s(99)}, {"last_s", result.back_s(100)}};
  out["usage"] = usage_json(result.usage);
  out["idle_percent"] = idle_percent(result.usage);
  out["timeouts"] = timeouts(result);
  out["refused"] = refused(result);
  out["swarm"] = swarm_json(result.after);
  out["handshakes"] = handshake_json(result.handshakes);
  out["targets"] = targets_json(targets(result));
  return out;
}

}  // namespace notp::bench
