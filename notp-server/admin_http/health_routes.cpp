#include "notp-server/admin_http/health_routes.hpp"

#include <utility>

#include "common/json/json.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp::admin_http {
namespace {

constexpr unsigned kStatusUnavailable = 503;

std::string_view status_of(const RecoveryHealth& recovery) {
  if (recovery.is_running) return "recovering";
  const bool is_behind = recovery.is_restored || recovery.is_root_lost ||
                         !recovery.lost_ledgers.empty() || !recovery.forked_ledgers.empty();
  return is_behind ? "lost" : "ok";
}

json::array names(const std::vector<std::string>& ledgers) {
  json::array out;
  for (const std::string& ledger : ledgers) out.emplace_back(ledger);
  return out;
}

json::object source_states(const SourcesHealth& sources) {
  json::object out;
  for (const auto& [name, state] : sources()) out[name] = state;
  return out;
}

}  // namespace

void RegistryHealthRoutes::add_to(http::Router& router) const {
  for (const char* path : {"/health", "/health/live", "/health/ready"})
    router.add("GET", path, [this](const http::Request& request) { return health(request); });
}

boost::asio::awaitable<http::Response> RegistryHealthRoutes::health(
    const http::Request& request) const {
  json::array damaged;
  for (const registry::LedgerDamage& damage : parts_.registry.damaged())
    damaged.emplace_back(damage.ledger.text());
  const bool is_ok = damaged.empty();
  const RecoveryHealth recovery = parts_.recovery ? parts_.recovery() : RecoveryHealth{};
  const auto root = parts_.roots.current();
  const trust::RootExpiry expiry = trust::root_expiry(root->expires_ms, read_clock().wall_ms);
  json::object body{
      {"status", is_ok ? status_of(recovery) : "damaged"},
      {"root_version", root->version},
      {"root_expiry", trust::root_expiry_name(expiry)},
      {"root_expires_ms", root->expires_ms},
      {"freshness_key", trust::freshness_key_state_name(parts_.freshness.key_state())}};
  if (parts_.is_volatile) body["volatile"] = true;
  if (!is_ok) body["damaged_ledgers"] = std::move(damaged);
  if (recovery.is_restored) body["restored"] = true;
  if (recovery.is_root_lost) body["lost_root"] = true;
  if (!recovery.lost_ledgers.empty()) body["lost_ledgers"] = names(recovery.lost_ledgers);
  if (!recovery.forked_ledgers.empty()) body["forked_ledgers"] = names(recovery.forked_ledgers);
  if (parts_.sources) body["sources"] = source_states(parts_.sources);
  if (parts_.lanes) body["lanes"] = source_states(parts_.lanes);
  http::Response response;
  if (!is_ok && request.path == "/health") response.status = kStatusUnavailable;
  response.body = json::serialize(body);
  co_return response;
}

}  // namespace notp::admin_http
