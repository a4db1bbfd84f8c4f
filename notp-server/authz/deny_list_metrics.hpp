// Metrics of the deny list: notp_denied_identities.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/authz/deny_list.hpp"

namespace notp::authz {

// The list outlives the last scrape.
void add_deny_list_metrics(MetricsRegistry& metrics, const DenyList& denied);

}  // namespace notp::authz
