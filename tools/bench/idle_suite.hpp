// The suite "idle": what open sessions cost a registry when nothing is published.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tools/bench/echo_control.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/swarm_tally.hpp"
#include "tools/bench/swarm_usage.hpp"

namespace notp::bench {

struct IdleOptions {
  std::filesystem::path programs;
  size_t sessions = 20'000;
  double seconds = 60;       // that are measured
  double settle_s = 15;      // after the last Welcome: a registry gives memory back
  int64_t freshness_s = 30;  // between two statements to a session
  size_t registry_threads = 1, swarm_threads = 1;
  std::function<void(const std::string&)> progress;
};
inline constexpr double kIdleSecondsMax = 3'600;

struct IdleResult {
  size_t sessions = 0;
  int64_t freshness_s = 0;
  double connected_s = 0;
  // Of the registry's process, without its workers: before the first session, and with all of
  // them.
  ProcessMemory before, with;
  SwarmUsage connecting, usage;
  uint64_t renewals = 0;  // statements that came meanwhile
  SwarmCounts counts;
  EchoResult echo;  // the control

  double bytes_each() const {
    const uint64_t now = with.resident_bytes;
    return double(now - std::min(now, before.resident_bytes)) /
           std::max<double>(1, double(sessions));
  }
  double core_percent() const { return usage.registry_s / std::max(usage.wall_s, 1e-9) * 100; }
};

Result<IdleResult> run_idle(const IdleOptions& options);
std::string idle_table(const IdleResult& result);
json::object idle_json(const IdleResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
