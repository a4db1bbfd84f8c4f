// Metrics of the deny list and of enrolment: notp_denied_identities, notp_joins_*,
// notp_certificates_renewed_total.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/authz/deny_list.hpp"
#include "notp-server/enroll/enrollment.hpp"

namespace notp {

// These outlive the last scrape.
void add_deny_list_metrics(MetricsRegistry& metrics, const DenyList& denied);
void add_enrollment_metrics(MetricsRegistry& metrics, const Enrollment& enrollment);

}  // namespace notp
