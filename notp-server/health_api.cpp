#include "notp-server/health_api.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/json.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp {
namespace {

constexpr unsigned kStatusUnavailable = 503;

}  // namespace

HealthApi::HealthApi(HealthParts parts) : parts_(std::move(parts)) {
  for (const char* path : {"/health", "/health/live", "/health/ready"})
    router_.add("GET", path, [this](const http::Request& request) { return health(request); });
  router_.add("GET", "/metrics", [this](const http::Request& request) { return metrics(request); });
}

boost::asio::awaitable<http::Response> HealthApi::health(const http::Request& request) const {
  json::array damaged;
  for (const LedgerDamage& damage : parts_.registry.damaged())
    damaged.emplace_back(damage.ledger.text());
  const bool is_ok = damaged.empty();
  const auto root = parts_.roots.current();
  const RootExpiry expiry = root_expiry(root->expires_ms, read_clock().wall_ms);
  json::object body{{"status", is_ok ? "ok" : "damaged"},
                    {"root_version", root->version},
                    {"root_expiry", root_expiry_name(expiry)},
                    {"root_expires_ms", root->expires_ms},
                    {"freshness_key", freshness_key_state_name(parts_.freshness.key_state())}};
  if (parts_.is_volatile) body["volatile"] = true;
  if (!is_ok) body["damaged_ledgers"] = std::move(damaged);
  http::Response response;
  if (!is_ok && request.path == "/health") response.status = kStatusUnavailable;
  response.body = json::serialize(body);
  co_return response;
}

boost::asio::awaitable<http::Response> HealthApi::metrics(const http::Request&) const {
  auto families = parts_.service.Collect();
  std::ranges::move(parts_.registered->Collect(), std::back_inserter(families));
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = prometheus::TextSerializer().Serialize(families);
  response.may_compress = true;
  co_return response;
}

}  // namespace notp
