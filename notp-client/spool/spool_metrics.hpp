// The spool's Prometheus metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "notp-client/spool/spool.hpp"

namespace notp::spool {

// Thread-safe.
class SpoolMetrics {
 public:
  explicit SpoolMetrics(prometheus::Registry& registry);
  // `wall_ms` is the time of the status. Counters follow the status of one spool.
  void update(const SpoolStatus& status, TimeMs wall_ms);

 private:
  prometheus::Counter& recorded_;
  prometheus::Counter& unrecorded_;
  prometheus::Family<prometheus::Counter>& dropped_;
  prometheus::Family<prometheus::Counter>& gaps_;
  prometheus::Gauge& bytes_;
  prometheus::Gauge& records_;
  prometheus::Gauge& oldest_seconds_;
  prometheus::Gauge& sync_seconds_;
  prometheus::Gauge& full_;
  prometheus::Gauge& open_;
};

}  // namespace notp::spool
