// Prometheus metrics of the embedded engine's state and history.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "common/mutex.hpp"
#include "common/rego/host/question.hpp"

namespace notp::pdp {

// Thread-safe.
class EngineMetrics {
 public:
  explicit EngineMetrics(prometheus::Registry& registry);
  // Call it before each collection.
  void update(const rego::EngineStatus& status);

 private:
  // Adds to the counter of `event` what `total` has grown by.
  void count(const char* event, uint64_t rego::EngineStatus::* total,
             const rego::EngineStatus& status) NOTP_REQUIRES(mutex_);

  prometheus::Gauge& up_;
  prometheus::Family<prometheus::Gauge>& questions_;
  prometheus::Family<prometheus::Counter>& workers_;
  Mutex mutex_;
  rego::EngineStatus counted_ NOTP_GUARDED_BY(mutex_);  // the status already added to the counters
};

}  // namespace notp::pdp
