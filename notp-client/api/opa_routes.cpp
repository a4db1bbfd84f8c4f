#include "notp-client/api/opa_routes.hpp"

#include "notp-client/api/left_out.hpp"

namespace notp::api {
namespace {

constexpr unsigned kUnauthorized = 401;
constexpr std::string_view kBearer = "Bearer ";

boost::asio::awaitable<http::Response> logs_left_out(const http::Request&) {
  co_return left_out_response(kDecisionLogs);
}

}  // namespace

void OpaRoutes::add_to(http::Router& router) {
  const auto add = [&](std::string_view method, std::string_view path, const http::Handler& next) {
    router.add(method, path, [this, &next](const http::Request& r) { return guarded(r, next); });
  };
  static const http::Handler kLogs = logs_left_out;
  add("GET", "/bundles/notp", parts_.bundle);
  add("POST", "/status", parts_.status);
  add("POST", "/logs", parts_.logs ? parts_.logs : kLogs);
}

boost::asio::awaitable<http::Response> OpaRoutes::guarded(const http::Request& request,
                                                          const http::Handler& next) {
  const std::string_view authorization = request.header("Authorization");
  const bool accepted = request.peer.loopback && authorization.starts_with(kBearer) &&
                        equal_secrets(authorization.substr(kBearer.size()), parts_.secret);
  if (parts_.showed) parts_.showed(accepted);
  if (accepted) co_return co_await next(request);
  co_return gate_.refuse(request, {kUnauthorized, "unauthorized", std::string(kOpaSecretHint)});
}

}  // namespace notp::api
