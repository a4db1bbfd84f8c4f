// Metrics of the releases that the registry holds in memory: notp_snapshot*.
#pragma once

#include <functional>

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/registry/snapshot_memory.hpp"

namespace notp::registry {

// `counters` is thread-safe, and the data that it reads outlives the last scrape.
void add_snapshot_metrics(MetricsRegistry& metrics,
                          std::function<SnapshotMemory::Counters()> counters);

}  // namespace notp::registry
