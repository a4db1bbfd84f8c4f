#include "notp-server/enroll/enroll_metrics.hpp"

namespace notp::enroll {

void add_enrollment_metrics(MetricsRegistry& metrics, const Enrollment& enrollment) {
  metrics.add([&enrollment](MetricFamilies& out) {
    out.counter("notp_joins_total", "Nodes that joined.", enrollment.joined_total());
    out.counter("notp_joins_refused_total", "Joins refused.", enrollment.refused_total());
    out.counter("notp_certificates_renewed_total", "Certificates renewed by nodes.",
                enrollment.renewed_total());
  });
}

}  // namespace notp::enroll
