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

// What `work` makes of a body: here, or on the pool when it is large.
template <typename T>
asio::awaitable<T> read(asio::thread_pool& pool, size_t body_bytes, std::function<T()> work) {
  if (body_bytes <= kSmallBodyBytes) co_return work();
  const auto on_pool = [](std::function<T()> body) -> asio::awaitable<T> { co_return body(); };
  co_return co_await asio::co_spawn(pool, on_pool(std::move(work)), asio::use_awaitable);
}

http::Response json_response(const json::value& value) {
  http::Response response;
  response.body = json::serialize(value);
  return response;
}

}  // namespace

Api::Api(ApiOptions options, ApiParts parts, asio::thread_pool& pool)
    : options_(std::move(options)), parts_(std::move(parts)), pool_(pool) {
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

Api::Answer Api::data(const http::Request& request) {
  const bool pretty = request.parameter("pretty").value_or("false") != "false";
  auto question = co_await read<std::expected<DataQuestion, http::Response>>(
      pool_, request.body.size(), [&request] { return parse_data_question(request); });
  if (!question) co_return std::move(question).error();
  co_return data_answer(
      co_await parts_.decisions->decide(std::move(question->path), std::move(question->input)),
      pretty);
}

Api::Answer Api::authzen(const http::Request& request, bool several) {
  const auto asked = co_await read<std::expected<AuthzenRequest, http::Response>>(
      pool_, request.body.size(),
      [&request, several] { return AuthzenRequest::parse(request.body, several); });
  http::Response response = asked ? http::Response() : asked.error();
  if (asked)
    response = asked->respond(co_await parts_.decisions->decide_all(
        {.path = path_segments(options_.authzen_path), .inputs = asked->inputs()}));
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
