// The suite "latency": the time from a publisher's first byte to a decision with the release, on
// loopback, compared with an OPA that long-polls a bundle server.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <string>

#include "tools/bench/probe_model.hpp"
#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

// One kind of change, published repeatedly.
struct LatencyChange {
  std::string name;
  uint64_t artifact_bytes = 0;  // of the last one
  uint64_t bundle_bytes = 0;    // of the last one
  // From the first byte that the publisher sends until its PublishResult, and until the agent's PDP
  // decides with the release.
  Samples result, active;
  // From the moment the bundle server has the bundle until OPA decides with it.
  Samples control;
  // Preparation, not in the figures above: signing and encoding the delta; tar and gzip.
  Samples prepare, control_prepare;
};

struct LatencyOptions {
  std::filesystem::path programs, opa;
  ProbeModelOptions model;
  size_t updates = 0, control_updates = 0;  // of each kind
  std::function<void(const std::string&)> progress;
};
inline constexpr size_t kLatencyUpdatesMax = 2'000;

struct LatencyResult {
  std::array<LatencyChange, 2> changes;       // rule, record
  uint64_t model_bytes = 0, model_files = 0;  // of each release
  uint64_t document_bytes = 0;
  uint64_t versions = 0;  // published, and active at the end
  std::string opa;
};

Result<LatencyResult> run_latency(const LatencyOptions& options);
std::string latency_table(const LatencyResult& result);
json::object latency_json(const LatencyResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
