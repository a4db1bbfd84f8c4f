// Metrics of the key sources.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/sources/sources.hpp"

namespace notp::sources {

// `sources` outlives the last scrape.
void add_sources_metrics(MetricsRegistry& metrics, const Sources& sources);

}  // namespace notp::sources
