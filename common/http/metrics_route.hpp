// Metrics for Prometheus over HTTP.
#pragma once

#include "common/http/message.hpp"
#include "common/telemetry/metrics_registry.hpp"

namespace notp::http {

// Returns the answer to GET /metrics.
Response metrics_response(const MetricsRegistry& metrics);

}  // namespace notp::http
