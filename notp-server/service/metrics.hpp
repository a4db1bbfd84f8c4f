// The registry's counters in the Prometheus text format.
#pragma once

#include <string>

#include "notp-server/registry/snapshot_memory.hpp"
#include "notp-server/service/service.hpp"

namespace notp {

// Content type "text/plain; version=0.0.4". `denied` and `enrollment` may be null. Thread-safe.
std::string service_metrics(const Service& service, const ArtifactCache::Counters& artifacts,
                            const SnapshotMemory::Counters& snapshots,
                            const FreshnessSigner& freshness, const RootStore& roots,
                            const DenyList* denied, const Enrollment* enrollment,
                            size_t worker_queue);

}  // namespace notp
