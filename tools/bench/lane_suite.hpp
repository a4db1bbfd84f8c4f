// The suite "lane": a token lane from a source to thousands of sessions, beside raw writes of the
// same bytes; and a node that holds a million tokens, beside one that holds none.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tools/bench/process_facts.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"
#include "tools/bench/time_counts.hpp"

namespace notp::bench {

enum class LanePart : uint8_t { kAll, kFanOut, kTokens };

struct LaneOptions {
  std::filesystem::path programs;
  LanePart part = LanePart::kAll;
  std::vector<size_t> sessions = {2'000, 10'000};  // one fan-out each
  size_t tokens = 1'000'000;
  double seconds = 10;  // of each load
  std::function<void(const std::string&)> progress;
};
inline constexpr size_t kLaneSessionsMax = 15'000, kLaneTokensMax = 10'000'000;
inline constexpr double kLaneSecondsMax = 600;

// Events of one kind at one rate.
struct FanOutRow {
  std::string what;
  double rate = 0;  // events a second, evenly spaced
  uint64_t events = 0, batches = 0;
  uint64_t batch_bytes = 0;  // on average, on the wire of one session
  // From when an event was due at the source until a session has it, and until a node's table does.
  TimeCounts received, applied;
  TimeCounts control;  // as many raw writes of as many bytes, to as many connections
};
struct FanOut {
  size_t sessions = 0;
  double connected_s = 0;            // until each had all of the lane
  uint64_t registry_bytes_each = 0;  // of the registry's memory, for a session
  std::vector<FanOutRow> rows;
};

// Decisions over HTTP, at a rate.
struct LaneDecisions {
  std::string what;
  Samples latency;
  uint64_t answers = 0, failed = 0;
};
struct HeldTokens {
  uint64_t tokens = 0;
  double fill_s = 0;            // of the registry, by its source
  uint64_t snapshot_bytes = 0;  // that came down to the node, less those of the node without a lane
  double snapshot_s = 0;        // from its start until it decides by all of them
  ProcessMemory with, plain;    // of an agent with its workers; plain: it has no lane
  // By the input alone; by the lane; by the lane under 1,000 events a second.
  LaneDecisions by_input, quiet, busy;
  double events_rate = 0;  // that were taken meanwhile
};

struct LaneResult {
  std::vector<FanOut> fan_outs;
  HeldTokens held;  // tokens: 0 when it was not measured
};

Result<LaneResult> run_lane(const LaneOptions& options);
std::string lane_table(const LaneResult& result);
json::object lane_json(const LaneResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
