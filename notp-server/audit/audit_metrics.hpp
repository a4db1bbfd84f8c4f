// Metrics of the audit store: notp_audit_*.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <array>
#include <functional>

#include "common/clock.hpp"
#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/audit/intake_counters.hpp"

namespace notp::audit {

// How long pages of questions take: notp_audit_query_seconds. Thread-safe.
class QueryMetrics {
 public:
  explicit QueryMetrics(prometheus::Registry& registry);
  void observe(TimeMs took_ms) { seconds_.Observe(static_cast<double>(took_ms) / 1'000); }

 private:
  prometheus::Histogram& seconds_;
};

// Refusals by kind: notp_audit_faults_total. Thread-safe.
class FaultMetrics {
 public:
  explicit FaultMetrics(prometheus::Registry& registry);
  void count(FaultKind kind) { counters_[static_cast<size_t>(kind)]->Increment(); }

 private:
  std::array<prometheus::Counter*, kFaultKindNames.size()> counters_{};
};

// The counters outlive the last scrape.
void add_intake_metrics(MetricsRegistry& metrics, const IntakeCounters& counters);

// notp_audit_lag_seconds_max, of the wall time since which records of some node are missing; 0:
// none are. `since_ms` is called at each scrape.
void add_lag_metric(MetricsRegistry& metrics, std::function<TimeMs()> since_ms);

}  // namespace notp::audit
