#include "notp-server/registry/snapshot_metrics.hpp"

#include <utility>

namespace notp::registry {

void add_snapshot_metrics(MetricsRegistry& metrics,
                          std::function<SnapshotMemory::Counters()> counters) {
  metrics.add([counters = std::move(counters)](MetricFamilies& out) {
    const SnapshotMemory::Counters snapshots = counters();
    out.gauge("notp_snapshot_bytes", "Bytes of releases in memory.", snapshots.bytes);
    out.gauge("notp_snapshots", "Releases in memory with their content.", snapshots.snapshots);
    out.gauge("notp_snapshot_trees", "Releases in memory by their tree.", snapshots.trees);
    out.counter("notp_snapshots_evicted_total", "Releases that left the memory for lack of room.",
                snapshots.evicted);
    out.counter("notp_snapshots_unused_total",
                "Releases before heads that left the memory because they were not in use.",
                snapshots.unused);
    out.counter("notp_snapshot_loads_total", "Releases read from Git.", snapshots.loads);
  });
}

}  // namespace notp::registry
