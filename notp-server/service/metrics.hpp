// The registry's counters in the Prometheus text format.
#pragma once

#include <string>

#include "notp-server/service/service.hpp"

namespace notp {

// Content type "text/plain; version=0.0.4". Thread-safe.
std::string service_metrics(const ServiceCounters& counters,
                            const ArtifactCache::Counters& artifacts,
                            const FreshnessSigner& freshness, const RootStore& roots,
                            size_t worker_queue);

}  // namespace notp
