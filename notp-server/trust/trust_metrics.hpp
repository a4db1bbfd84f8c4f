// Metrics of roots and freshness: notp_root_*, notp_freshness_*.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp::trust {

// Both outlive the last scrape.
void add_trust_metrics(MetricsRegistry& metrics, const RootStore& roots,
                       const FreshnessSigner& freshness);

}  // namespace notp::trust
