#include "notp-client/api/authzen_routes.hpp"

#include <fmt/format.h>

#include "notp-client/api/asked_decision.hpp"
#include "notp-client/api/authzen.hpp"
#include "notp-client/api/data_api.hpp"
#include "notp-client/api/pool_work.hpp"

namespace notp::api {

namespace asio = boost::asio;

namespace {

constexpr size_t kSmallBodyBytes = 64 << 10;

asio::awaitable<http::Response> metadata(const http::Request& request) {
  const bool is_tls = request.peer.transport == http::Transport::kTls;
  const std::string_view host = request.header("Host");
  co_return json_text_response(
      json::serialize(authzen_configuration(
          fmt::format("{}://{}", is_tls ? "https" : "http", host.empty() ? "localhost" : host))),
      /*pretty=*/false);
}

}  // namespace

void AuthzenRoutes::add_to(http::Router& router) {
  router.add("POST", "/access/v1/evaluation",
             [this](const http::Request& r) { return evaluate(r, /*several=*/false); });
  router.add("POST", "/access/v1/evaluations",
             [this](const http::Request& r) { return evaluate(r, /*several=*/true); });
  router.add("GET", "/.well-known/authzen-configuration", metadata);
}

AuthzenRoutes::Answer AuthzenRoutes::evaluate(const http::Request& request, bool several) {
  const auto started = decision::SteadyClock::now();
  const auto admitted = gate_.admit(request);
  if (!admitted) co_return admitted.error();
  const auto rules = decisions_.rules();
  if (auto refused = gate_.refuse_path(request, admitted->caller, rules->authzen_path))
    co_return *std::move(refused);
  using Parsed = std::expected<AuthzenRequest, http::Response>;
  const std::function<Parsed()> parse = [&request, several] {
    return AuthzenRequest::parse(request.header("Content-Type"), request.body, several);
  };
  Parsed asked = co_await work_on(pool_, request.body.size() <= kSmallBodyBytes, parse);
  http::Response response;
  if (asked) {
    pdp::Question question{
        .path = rules->authzen_path, .inputs = asked->inputs(), .caller = admitted->caller.name};
    const decision::DecisionOutcome outcome = co_await decisions_.decide(decision_request(
        decision::DecisionApi::kAuthzen, std::move(question), request, admitted->caller, started));
    response = asked->respond(outcome.decisions);
  } else {
    response = std::move(asked).error();
  }
  // AuthZEN 1.0 section 10: callers correlate the answer with their own logs by this header.
  if (const auto id = request.header("X-Request-ID"); !id.empty())
    response.headers.emplace_back("X-Request-ID", id);
  co_return response;
}

}  // namespace notp::api
