// What the health page says of components that it does not know itself.
#pragma once

#include <functional>

#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/admin_http/health_routes.hpp"
#include "notp-server/fleet/fleet_metrics.hpp"
#include "notp-server/lane/lanes.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/sources/sources.hpp"

namespace notp::server {

// Both run as long as the component lives.
std::function<admin_http::RecoveryHealth()> recovery_health(const recovery::Recovery& recovery);
// Null: there are no sources.
admin_http::SourcesHealth sources_health(const sources::Sources* sources);

// Names of lanes with "ok", "full" of tokens or "failing" to read or write; and their sources, as
// "lane/source". Null: there are no lanes.
admin_http::SourcesHealth lanes_health(const lane::Lanes* lanes);

fleet::Heads newest_releases(const registry::Registry& registry);

// Version and log of the program itself.
void add_program_metrics(MetricsRegistry& metrics);

}  // namespace notp::server
