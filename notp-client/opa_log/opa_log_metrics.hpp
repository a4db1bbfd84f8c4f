// The Prometheus metrics of what an OPA logs.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "notp-client/opa_log/intake.hpp"

namespace notp::opa_log {

// Thread-safe.
class OpaLogMetrics {
 public:
  explicit OpaLogMetrics(prometheus::Registry& registry);
  // Counters follow the status of one intake.
  void update(const IntakeStatus& status);

 private:
  prometheus::Counter& recorded_;
  prometheus::Counter& duplicates_;
  prometheus::Counter& damaged_;
  prometheus::Counter& dropped_;
  prometheus::Counter& missing_;
};

}  // namespace notp::opa_log
