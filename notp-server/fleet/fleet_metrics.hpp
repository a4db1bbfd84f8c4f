// Metrics of the fleet: notp_nodes, notp_release_*, notp_activation_seconds,
// notp_freshness_age_seconds.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/fleet/fleet.hpp"

namespace notp::fleet {

// The newest version of each ledger.
using Heads = std::vector<std::pair<model::LedgerId, uint64_t>>;

// Before the first report. The fleet outlives the last scrape. `heads` is called at each scrape.
void add_fleet_metrics(MetricsRegistry& metrics, Fleet& fleet, std::function<Heads()> heads);

}  // namespace notp::fleet
