#include "notp-server/audit/audit_metrics.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace notp::audit {

QueryMetrics::QueryMetrics(prometheus::Registry& registry)
    : seconds_(
          prometheus::BuildHistogram()
              .Name("notp_audit_query_seconds")
              .Help("Time of one page of a question about decision records.")
              .Register(registry)
              .Add({}, prometheus::Histogram::BucketBoundaries{0.005, 0.02, 0.1, 0.5, 2, 10, 30})) {
}

FaultMetrics::FaultMetrics(prometheus::Registry& registry) {
  auto& family = prometheus::BuildCounter()
                     .Name("notp_audit_faults_total")
                     .Help("Logs and segments that were refused, by why, and commits that failed.")
                     .Register(registry);
  for (size_t i = 0; i < counters_.size(); ++i)
    counters_[i] = &family.Add({{"kind", std::string(kFaultKindNames[i])}});
}

void add_intake_metrics(MetricsRegistry& metrics, const IntakeCounters& counters) {
  metrics.add([&counters](MetricFamilies& out) {
    out.counter("notp_audit_records_total", "Decision records stored.", counters.records);
    out.counter("notp_audit_segments_total", "Segments of decision records stored.",
                counters.segments);
    out.counter("notp_audit_bytes_total", "Bytes of segments stored, compressed.", counters.bytes);
  });
}

void add_lag_metric(MetricsRegistry& metrics, std::function<TimeMs()> since_ms) {
  metrics.add([since_ms = std::move(since_ms)](MetricFamilies& out) {
    const TimeMs oldest_ms = since_ms();
    out.gauge(
        "notp_audit_lag_seconds_max",
        "Age of the oldest decision record that a node has said it has and that is not stored "
        "here, of all nodes; 0: there is none. What a node records while it is away is not "
        "known; what it had to send when it went counts until it comes back.",
        oldest_ms == 0 ? 0
                       : static_cast<uint64_t>(
                             std::max<TimeMs>(0, (read_clock().wall_ms - oldest_ms) / 1'000)));
  });
}

}  // namespace notp::audit
