// Metrics of the registry's tree: notp_audit_tree_size and others.
#pragma once

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/audit_tree/registry_tree.hpp"

namespace notp::audit {

// The tree outlives the last scrape.
void add_tree_metrics(MetricsRegistry& metrics, const RegistryTree& tree);

}  // namespace notp::audit
