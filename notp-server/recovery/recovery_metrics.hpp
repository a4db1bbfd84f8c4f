// Metrics of what the registry has lost, and recovered.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/recovery/recovery.hpp"

namespace notp::recovery {

// `recovery` outlives the last scrape.
void add_recovery_metrics(MetricsRegistry& metrics, const Recovery& recovery);

}  // namespace notp::recovery
