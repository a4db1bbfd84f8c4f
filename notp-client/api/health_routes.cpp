#include "notp-client/api/health_routes.hpp"

#include <prometheus/text_serializer.h>

#include "notp-client/api/asked_decision.hpp"

namespace notp::api {
namespace {

boost::asio::awaitable<http::Response> live(const http::Request&) {
  co_return http::text_response(200, "ok\n");
}

}  // namespace

void HealthRoutes::add_to(http::Router& router, bool for_anyone) {
  router.add("GET", "/health/live", live);
  router.add("GET", "/health/ready",
             [this, for_anyone](const http::Request& r) { return ready(r, for_anyone); });
  router.add("GET", "/health", [this](const http::Request& r) { return health(r); });
  router.add("GET", "/health/*", [this](const http::Request& r) { return health_rule(r); });
  router.add("GET", "/metrics",
             [this, for_anyone](const http::Request& r) { return metrics(r, for_anyone); });
}

HealthRoutes::Answer HealthRoutes::ready(const http::Request& request, bool for_anyone) {
  const bool with_detail = for_anyone || gate_.sees_all(request);
  co_return ready_response(parts_.health(), with_detail);
}

HealthRoutes::Answer HealthRoutes::health(const http::Request& request) {
  co_return health_response(request, parts_.health());
}

HealthRoutes::Answer HealthRoutes::health_rule(const http::Request& request) {
  const auto started = decision::SteadyClock::now();
  std::vector<std::string> path{"system", "health"};
  for (std::string& segment : request.segments_below("/health")) path.push_back(std::move(segment));
  const Health now = parts_.health();
  if (path.size() == 2) co_return health_response(request, now);
  pdp::Question question{.path = path, .inputs = {}, .caller = "probes"};
  question.inputs.emplace_back(health_rule_input(now));
  // Whoever probes is not identified.
  decision::DecisionOutcome outcome = co_await decisions_.decide(decision_request(
      decision::DecisionApi::kHealth, std::move(question), request, Caller(), started));
  co_return health_rule_response(path, std::move(outcome).only());
}

HealthRoutes::Answer HealthRoutes::metrics(const http::Request& request, bool for_anyone) {
  if (!for_anyone)
    if (const auto admitted = gate_.admit_to_all(request, "the metrics"); !admitted)
      co_return admitted.error();
  if (parts_.refresh_metrics) parts_.refresh_metrics();
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = prometheus::TextSerializer().Serialize(parts_.metrics->Collect());
  response.may_compress = true;
  co_return response;
}

}  // namespace notp::api
