// Metrics of the token lanes: notp_lane_*.
#pragma once

#include <prometheus/histogram.h>

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/lane/lanes.hpp"

namespace notp::lane {

// How long events take from their arrival until sessions have them: notp_lane_fan_out_seconds.
// Thread-safe.
class FanOutMetrics {
 public:
  explicit FanOutMetrics(prometheus::Registry& registry);
  void observe(double seconds) { seconds_.Observe(seconds); }

 private:
  prometheus::Histogram& seconds_;
};

// The lanes outlive the last scrape.
void add_lane_metrics(MetricsRegistry& metrics, const Lanes& lanes);

}  // namespace notp::lane
