// Metrics of the artifact cache: notp_artifact_*.
#pragma once

#include <functional>

#include "common/telemetry/metrics_registry.hpp"
#include "protocol/serve/artifact_cache.hpp"

namespace notp::serve {

// `joined` returns the number of sessions that waited, before the cache was asked, for an artifact
// that was being made for another one; it is thread-safe. All arguments outlive the last scrape.
void add_artifact_metrics(MetricsRegistry& metrics, const ArtifactCache& cache,
                          std::function<uint64_t()> joined);

}  // namespace notp::serve
