#include "notp-client/api/status_routes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "notp-client/api/data_api.hpp"
#include "notp-client/api/pool_work.hpp"

namespace notp::api {
namespace {

constexpr std::string_view kWelcome =
    "notp-client " NOTP_VERSION
    ": a policy decision point.\n"
    "  POST /v1/data/<path>            decide, as OPA: {\"input\": ...}\n"
    "  POST /access/v1/evaluation      decide, as AuthZEN 1.0\n"
    "  GET  /health, /metrics          for probes and Prometheus\n"
    "  GET  /v1/status, /v1/policies   what is decided with\n";

boost::asio::awaitable<http::Response> welcome(const http::Request&) {
  co_return http::text_response(200, kWelcome);
}

}  // namespace

void StatusRoutes::add_to(http::Router& router) {
  router.add("GET", "/", welcome);
  router.add("GET", "/v1/policies/*", [this](const http::Request& r) { return policies(r); });
  router.add("GET", "/v1/status", [this](const http::Request& r) { return status(r); });
  for (const LeftOut& route : left_out_routes())
    router.add(route.methods, route.pattern,
               [this, &route](const http::Request& r) { return left_out(r, route); });
}

StatusRoutes::Answer StatusRoutes::status(const http::Request& request) {
  const auto admitted = gate_.admit_to_all(request, "the status");
  if (!admitted) co_return admitted.error();
  co_return json_text_response(json::serialize(parts_.status()), flag_parameter(request, "pretty"));
}

StatusRoutes::Answer StatusRoutes::policies(const http::Request& request) {
  const auto admitted = gate_.admit_to_all(request, "the policies");
  if (!admitted) co_return admitted.error();
  const std::function<http::Response()> read = [this, &request] {
    const std::string id =
        fmt::format("{}", fmt::join(request.segments_below("/v1/policies"), "/"));
    return policies_response(parts_.policies(), id, flag_parameter(request, "pretty"));
  };
  co_return co_await work_on(pool_, /*is_little=*/false, read);
}

StatusRoutes::Answer StatusRoutes::left_out(const http::Request& request, const LeftOut& route) {
  const auto admitted = gate_.admit(request);
  if (!admitted) co_return admitted.error();
  co_return left_out_response(route);
}

}  // namespace notp::api
