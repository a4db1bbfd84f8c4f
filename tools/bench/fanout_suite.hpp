// The suite "fanout": small releases to thousands of sessions, alone, with the Commits of agents,
// and beside readers that do not answer or do not read.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/git_fan_control.hpp"
#include "tools/bench/opal_control.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"
#include "tools/bench/swarm_tally.hpp"
#include "tools/bench/swarm_usage.hpp"
#include "tools/bench/tls_fan_control.hpp"

namespace notp::bench {

struct FanoutOptions {
  std::filesystem::path programs;
  size_t sessions = 10'000, publishes = 10;
  size_t registry_threads = 1, swarm_threads = 1;
  std::filesystem::path opal;  // that opal-environment prints; empty: this control is left out
  std::function<void(const std::string&)> progress;
};
inline constexpr size_t kFanoutPublishesMax = 10'000;

struct FanoutRow {
  std::string what;
  ByRole sessions;
  double connected_s = 0;       // until each session has the newest release
  uint64_t artifact_bytes = 0;  // of a release
  // ms from the publisher's first byte; one time for each session and release.
  Samples delivered, active;
  // One time for each release: from the first session that has it to the last one; until the
  // publisher has its result; until the registry has the last ACTIVE.
  Samples spread, published, all_active;
  // Of all releases, without what as many releases cost the registry when nobody is connected; of
  // the first row: until the last delivery.
  SwarmUsage usage;
  SwarmCounts counts;  // at the end

  uint64_t deliveries() const { return delivered.count(); }
  double registry_us_each() const {
    return usage.registry_s * 1e6 / std::max(1.0, double(deliveries()));
  }
  double swarm_us_each() const { return usage.swarm_s * 1e6 / std::max(1.0, double(deliveries())); }
};

struct FanoutResult {
  size_t sessions = 0, publishes = 0;
  double publish_ms = 0;  // of the registry's processor, for a release that goes to no session
  FanoutRow alone, answered, disturbed;
  // Controls: as many bytes to as many sessions; 200 clients that are told and fetch.
  TlsFanResult raw;
  GitFanResult git;
  std::optional<OpalResult> opal;
};

Result<FanoutResult> run_fanout(const FanoutOptions& options);
std::string fanout_table(const FanoutResult& result);
json::object fanout_json(const FanoutResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
