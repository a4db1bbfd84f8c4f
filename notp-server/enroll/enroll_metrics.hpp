// Metrics of enrolment: notp_joins_*, notp_certificates_renewed_total.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/enroll/enrollment.hpp"

namespace notp::enroll {

// The enrolment outlives the last scrape.
void add_enrollment_metrics(MetricsRegistry& metrics, const Enrollment& enrollment);

}  // namespace notp::enroll
