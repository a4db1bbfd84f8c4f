#include "notp-client/api/api.hpp"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "notp-client/api/authzen.hpp"
#include "notp-client/api/data_api.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr size_t kSmallBodyBytes = 64 << 10;
constexpr std::string_view kDataPrefix = "/v1/data";

asio::awaitable<http::Response> live(const http::Request&) {
  co_return http::text_response(200, "ok\n");
}

std::string_view readiness_name(Readiness readiness) {
  switch (readiness) {
    case Readiness::kCurrent:
      return "current";
    case Readiness::kStale:
      return "stale";
    case Readiness::kExpired:
      return "expired";
    case Readiness::kNever:
      return "never_loaded";
  }
  return "never_loaded";
}

bool allows(std::string_view methods, std::string_view method) {
  for (size_t at = methods.find(method); at != std::string_view::npos;
       at = methods.find(method, at + 1))
    if ((at == 0 || methods[at - 1] == ' ') &&
        (at + method.size() == methods.size() || methods[at + method.size()] == ' '))
      return !method.empty();
  return false;
}

http::Response json_response(const json::value& value) {
  http::Response response;
  response.body = json::serialize(value);
  return response;
}

}  // namespace

Api::Api(ApiOptions options, ApiParts parts, asio::thread_pool& pool)
    : options_(std::move(options)), parts_(std::move(parts)), pool_(pool) {
  auto& decisions = prometheus::BuildCounter()
                        .Name("notp_decisions_total")
                        .Help("Decisions asked of the agent, by outcome")
                        .Register(*parts_.metrics);
  defined_ = &decisions.Add({{"outcome", "defined"}});
  undefined_ = &decisions.Add({{"outcome", "undefined"}});
  failed_ = &decisions.Add({{"outcome", "error"}});

  const auto own = [this](Answer (Api::*route)(const http::Request&)) -> Route {
    return [this, route](const http::Request& request) { return (this->*route)(request); };
  };
  const auto authzen_route = [this](bool several) -> Route {
    return [this, several](const http::Request& request) { return authzen(request, several); };
  };
  routes_[std::string(kDataPrefix)] = {"GET POST", own(&Api::data)};
  routes_["/access/v1/evaluation"] = {"POST", authzen_route(false)};
  routes_["/access/v1/evaluations"] = {"POST", authzen_route(true)};
  routes_["/.well-known/authzen-configuration"] = {"GET HEAD", own(&Api::configuration)};
  routes_["/health/live"] = {"GET HEAD", live};
  routes_["/health/ready"] = {"GET HEAD", own(&Api::ready)};
  routes_["/metrics"] = {"GET HEAD", own(&Api::serialize_metrics)};
  routes_["/v1/status"] = {"GET HEAD", own(&Api::agent_status)};
  if (parts_.opa_bundle) routes_["/bundles/notp"] = {"GET", parts_.opa_bundle};
  if (parts_.opa_status) routes_["/status"] = {"POST", parts_.opa_status};
}

http::Handler Api::handler() {
  return [this](const http::Request& request) { return answer(request); };
}

const Api::Entry* Api::find(std::string_view path) const {
  if (path.starts_with(kDataPrefix) && path.substr(kDataPrefix.size()).starts_with('/'))
    path = kDataPrefix;
  const auto entry = routes_.find(path);
  return entry == routes_.end() ? nullptr : &entry->second;
}

Api::Answer Api::answer(const http::Request& request) {
  const Entry* entry = find(request.path);
  if (entry == nullptr)
    co_return http::error_response(404, "not_found", fmt::format("no route {}", request.path));
  if (!allows(entry->methods, request.method)) {
    auto response = http::error_response(405, "method_not_allowed",
                                         fmt::format("{} takes {}", request.path, entry->methods));
    response.headers.emplace_back("Allow", entry->methods);
    co_return response;
  }
  co_return co_await entry->route(request);
}

Api::Answer Api::run(bool is_large, std::function<http::Response()> work) {
  if (!is_large && parts_.pdp->kind() == "embedded") co_return work();
  const auto on_pool = [](std::function<http::Response()> body) -> Answer { co_return body(); };
  co_return co_await asio::co_spawn(pool_, on_pool(std::move(work)), asio::use_awaitable);
}

Result<std::optional<Bytes>> Api::ask(std::string_view path, ByteView input) {
  auto value = parts_.pdp->evaluate(path, input);
  (!value ? failed_ : *value ? defined_ : undefined_)->Increment();
  return value;
}

Api::Answer Api::data(const http::Request& request) {
  const bool pretty = request.parameter("pretty").value_or("false") != "false";
  co_return co_await run(request.body.size() > kSmallBodyBytes, [this, &request, pretty] {
    const auto question = parse_data_question(request);
    return question ? data_answer(ask(question->path, question->input), pretty) : question.error();
  });
}

Api::Answer Api::authzen(const http::Request& request, bool several) {
  const AskDecision ask_rule = [this](ByteView input) { return ask(options_.authzen_path, input); };
  const bool is_large = several || request.body.size() > kSmallBodyBytes;
  http::Response response = co_await run(is_large, [&request, &ask_rule, several] {
    return several ? authzen_evaluations(request.body, ask_rule)
                   : authzen_evaluation(request.body, ask_rule);
  });
  // §10: the caller finds its answer in its own logs by this.
  if (const auto id = request.header("X-Request-ID"); !id.empty())
    response.headers.emplace_back("X-Request-ID", id);
  co_return response;
}

Api::Answer Api::configuration(const http::Request& request) {
  co_return json_response(authzen_configuration(fmt::format("http://{}", request.header("Host"))));
}

Api::Answer Api::ready(const http::Request&) {
  const Health health = parts_.health();
  const std::string_view state = readiness_name(health.readiness);
  json::object body{{"state", state}};
  for (const auto& [name, value] : health.detail) body[name] = value;
  http::Response response = json_response(body);
  const bool decides =
      health.readiness == Readiness::kCurrent || health.readiness == Readiness::kStale;
  response.status = decides ? 200 : 503;
  // For those who probe with HEAD.
  response.headers.emplace_back("NOTP-State", state);
  co_return response;
}

Api::Answer Api::serialize_metrics(const http::Request&) {
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = prometheus::TextSerializer().Serialize(parts_.metrics->Collect());
  co_return response;
}

Api::Answer Api::agent_status(const http::Request&) { co_return json_response(parts_.status()); }

}  // namespace notp
