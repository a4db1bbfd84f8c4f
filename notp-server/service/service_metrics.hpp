// Metrics of sessions, pushes and publishes.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/service/service.hpp"

namespace notp::service {

// The service outlives the last scrape.
void add_service_metrics(MetricsRegistry& metrics, const Service& service);

}  // namespace notp::service
