// The suite "reconnect": a registry is killed and started again, and its whole fleet comes back.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tools/bench/handshake_control.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"
#include "tools/bench/swarm_tally.hpp"
#include "tools/bench/swarm_usage.hpp"

namespace notp::bench {

struct ReconnectOptions {
  std::filesystem::path programs;
  size_t sessions = 10'000;
  size_t registry_threads = 1, swarm_threads = 1;
  std::function<void(const std::string&)> progress;
};

struct ReconnectResult {
  size_t sessions = 0;
  Samples herd;                  // all of them at once, at a registry that runs: ms until Welcome
  double away_s = 0;             // from the kill until the registry listens again
  Samples back;                  // ms from the kill until Welcome
  SwarmUsage herd_usage, usage;  // from when it listens until the last Welcome
  SwarmCounts before, after;
  HandshakeResult handshakes;  // the control

  // From when it listens, in s.
  double back_s(double percent) const { return back.percentile(percent) / 1e3 - away_s; }
};

Result<ReconnectResult> run_reconnect(const ReconnectOptions& options);
std::string reconnect_table(const ReconnectResult& result);
json::object reconnect_json(const ReconnectResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
