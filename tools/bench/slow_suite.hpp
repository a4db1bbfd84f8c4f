// The suite "slow": a large model is pushed to a few honest sessions, beside many that send Pings
// and never read.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"
#include "tools/bench/swarm_tally.hpp"
#include "tools/bench/swarm_usage.hpp"

namespace notp::bench {

struct SlowOptions {
  std::filesystem::path programs;
  size_t slow = 1'000, honest = 100;
  double model_mb = 100;  // of the artifact, about
  size_t registry_threads = 1, swarm_threads = 1;
  std::function<void(const std::string&)> progress;
};
inline constexpr double kSlowModelMbMax = 180;  // one document

// One push.
struct SlowRun {
  size_t slow = 0;
  uint64_t artifact_bytes = 0;
  // Of the registry's process, without its workers: before the push, and the highest until the
  // honest have it and the slow are cut.
  ProcessMemory before, peak;
  Samples delivered;  // ms from the publisher's first byte, to the honest
  Samples cut;        // ms from then until a slow session was cut
  SwarmUsage usage;
  SwarmCounts counts;

  uint64_t grown_bytes() const {
    return peak.resident_peak_bytes - std::min(peak.resident_peak_bytes, before.resident_bytes);
  }
};

struct SlowResult {
  size_t honest = 0;
  SlowRun alone, beside;  // without slow sessions, the control; with them
};

Result<SlowResult> run_slow(const SlowOptions& options);
std::string slow_table(const SlowResult& result);
json::object slow_json(const SlowResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
