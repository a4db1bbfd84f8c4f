#include "tools/bench/slow_suite.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/swarm_arm.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kPatienceMs = 300'000;
constexpr double kTextOfArtifact = 4.0 / 3;  // the document has six bits a character
constexpr double kMib = 1 << 20;
constexpr double kGrownMib = 256, kCutS = 30;  // the registry's send memory; the stall deadline
constexpr size_t kTargetSlow = 1'000;
constexpr double kTargetMb = 90;

double seconds_since(SwarmTime from) {
  return ms_between(from, std::chrono::steady_clock::now()) / 1e3;
}
double mib(uint64_t bytes) { return static_cast<double>(bytes) / kMib; }

std::vector<Target> targets(const SlowResult& result) {
  if (result.beside.slow < kTargetSlow || mib(result.beside.artifact_bytes) < kTargetMb) return {};
  const double alone = mib(result.alone.grown_bytes());
  return {{.what = "growth of the registry's memory by slow readers, MiB",
           .figure = mib(result.beside.grown_bytes()) - alone,
           .bound = kGrownMib,
           .control_name = "growth without them",
           .control = alone},
          {.what = "until the last of them is cut, s",
           .figure = result.beside.cut.percentile(100) / 1e3,
           .bound = kCutS}};
}
constexpr const char* kNoTargets = "they are for 1,000 slow readers and a model of 100 MB";

// Each honest session holds the artifact while it comes.
Result<void> check_memory(const SlowOptions& options) {
  const double wanted = static_cast<double>(options.honest + 8) * options.model_mb * 1e6;
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("MemAvailable:")) continue;
    const double available = std::strtod(line.c_str() + line.find(':') + 1, nullptr) * 1024;
    if (available >= wanted) return {};
    return fail(ErrorCode::kLimit,
                fmt::format("{} sessions that hold {:.0f} MB each need {:.1f} GB of memory, and "
                            "{:.1f} GB are available: ask for fewer, or a smaller model",
                            options.honest, options.model_mb, wanted / 1e9, available / 1e9));
  }
  return {};
}

Result<SlowRun> measure(const SlowOptions& options, size_t slow) {
  SlowRun run{.slow = slow};
  const size_t sessions = options.honest + slow;
  NOTP_ASSIGN(const auto folder, ScratchFolder::make());
  NOTP_ASSIGN(const auto arm, SwarmArm::start({.programs = options.programs,
                                               .folder = folder->path(),
                                               .registry_threads = options.registry_threads}));
  NOTP_ASSIGN(const SwarmIdentitiesPtr identities, arm->identities(sessions));
  NOTP_ASSIGN(AgentSwarmPlan plan, arm->plan(identities));
  plan.threads = options.swarm_threads;
  plan.slow = static_cast<double>(slow) / static_cast<double>(sessions);
  NOTP_ASSIGN(const auto swarm, AgentSwarm::start(std::move(plan)));
  SwarmTally& tally = swarm->tally();
  NOTP_TRY(tally.await_welcome(kPatienceMs));
  const ByRole roles = tally.counts().sessions;
  NOTP_TRY(tally.await_artifacts(sessions, kPatienceMs));
  NOTP_ASSIGN(const auto prepared,
              arm->prepare_noise(static_cast<size_t>(options.model_mb * kTextOfArtifact * 1e6)));
  NOTP_ASSIGN(run.before, own_memory_of(arm->registry_pid()));
  NOTP_TRY(reset_peak(arm->registry_pid()));
  NOTP_ASSIGN(const auto watch, SwarmUsageWatch::start(arm->registry_pid()));
  const uint64_t version = SwarmArm::version_of(prepared);
  const SwarmTime from = std::chrono::steady_clock::now();
  tally.expect(version, from);
  tally.mark(from);
  NOTP_TRY(arm->publish(prepared));
  options.progress(fmt::format("{} slow: published after {:.1f} s", slow, seconds_since(from)));
  NOTP_ASSIGN(SwarmPush push, tally.take(version, kPatienceMs));
  options.progress(
      fmt::format("{} slow: the honest have it after {:.1f} s", slow, seconds_since(from)));
  NOTP_TRY(tally.await_slow_cut(roles[SwarmRole::kSlow], kPatienceMs));
  NOTP_ASSIGN(run.usage, watch.read());
  NOTP_ASSIGN(run.peak, own_memory_of(arm->registry_pid()));
  run.artifact_bytes = push.artifact_bytes;
  run.delivered = std::move(push.delivered);
  run.cut = tally.marked().slow_cut;
  run.counts = tally.counts();
  return run;
}

json::object run_json(const SlowRun& run) {
  return {{"slow", run.slow},
          {"artifact_bytes", run.artifact_bytes},
          {"resident_bytes_before", run.before.resident_bytes},
          {"resident_bytes_peak", run.peak.resident_peak_bytes},
          {"grown_bytes", run.grown_bytes()},
          {"delivered", run.delivered.to_json()},
          {"cut", run.cut.to_json()},
          {"usage", usage_json(run.usage)},
          {"swarm", swarm_json(run.counts)}};
}

std::string run_text(const SlowRun& run) {
  return fmt::format(
      "{:>8}{:>12.1f}{:>12.1f}{:>12.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.1f}{:>10.2f}\n", run.slow,
      mib(run.artifact_bytes), mib(run.before.resident_bytes), mib(run.grown_bytes()),
      run.delivered.p50() / 1e3, run.delivered.percentile(100) / 1e3, run.cut.percentile(0) / 1e3,
      run.cut.percentile(100) / 1e3, run.usage.registry_s);
}

}  // namespace

Result<SlowResult> run_slow(const SlowOptions& options) {
  SlowResult result{.honest = options.honest};
  NOTP_TRY(check_memory(options));
  NOTP_ASSIGN(result.alone, measure(options, 0));
  NOTP_ASSIGN(result.beside, measure(options, options.slow));
  return result;
}

std::string slow_table(const SlowResult& result) {
  return fmt::format("{} honest sessions\n{:>8}{:>12}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
                     result.honest, "slow", "model, MiB", "before, MiB", "grown, MiB", "p50, s",
                     "last, s", "cut, s", "to, s", "proc., s") +
         run_text(result.alone) + run_text(result.beside) +
         targets_table(targets(result), kNoTargets);
}

json::object slow_json(const SlowResult& result, const CorpusLabels& labels) {
  json::object out{{"suite", "slow"}};
  add_circumstances(out, labels);
  out["honest"] = result.honest;
  out["alone"] = run_json(result.alone);
  out["beside"] = run_json(result.beside);
  out["targets"] = targets_json(targets(result));
  return out;
}

}  // namespace notp::bench
