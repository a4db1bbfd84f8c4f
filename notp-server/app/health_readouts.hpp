// What the health page says of components that it does not know itself.
#pragma once

#include <functional>

#include "notp-server/admin_http/health_routes.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "notp-server/sources/sources.hpp"

namespace notp::server {

// Both run as long as the component lives.
std::function<admin_http::RecoveryHealth()> recovery_health(const recovery::Recovery& recovery);
// Null: there are no sources.
admin_http::SourcesHealth sources_health(const sources::Sources* sources);

}  // namespace notp::server
