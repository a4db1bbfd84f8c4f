#include "notp-server/audit/audit_metrics.hpp"

#include <string>

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

}  // namespace notp::audit
