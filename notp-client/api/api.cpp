#include "notp-client/api/api.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <prometheus/text_serializer.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/log.hpp"
#include "common/random.hpp"
#include "notp-client/api/authzen.hpp"
#include "notp-client/api/left_out.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr size_t kSmallBodyBytes = 64 << 10;
constexpr unsigned kUnauthorized = 401, kTooManyRequests = 429;
constexpr std::string_view kBearer = "Bearer ";
constexpr std::string_view kWelcome =
    "notp-client " NOTP_VERSION
    ": a policy decision point.\n"
    "  POST /v1/data/<path>            decide, as OPA: {\"input\": ...}\n"
    "  POST /access/v1/evaluation      decide, as AuthZEN 1.0\n"
    "  GET  /health, /metrics          for probes and Prometheus\n"
    "  GET  /v1/status, /v1/policies   what is decided with\n";

asio::awaitable<http::Response> live(const http::Request&) {
  co_return http::text_response(200, "ok\n");
}

asio::awaitable<http::Response> welcome(const http::Request&) {
  co_return http::text_response(200, kWelcome);
}

// What `work` makes: here when it is little, else on the pool.
template <typename T>
asio::awaitable<T> work_on(asio::thread_pool& pool, bool is_little, std::function<T()> work) {
  if (is_little) co_return work();
  const auto on_pool = [](std::function<T()> body) -> asio::awaitable<T> { co_return body(); };
  co_return co_await asio::co_spawn(pool, on_pool(std::move(work)), asio::use_awaitable);
}

// RFC 9562 §5.4.
std::string random_uuid() {
  SystemRandom random;
  const uint64_t high = (random.next_u64() & ~0xF000ULL) | 0x4000ULL;
  const uint64_t low = (random.next_u64() & ~(3ULL << 62)) | (2ULL << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF,
                     high & 0xFFFF, low >> 48, low & 0xFFFF'FFFF'FFFFULL);
}

// Who it is as far as that is proven.
std::string peer_text(const http::Peer& peer) {
  if (peer.certificate && peer.certificate->good() && !peer.certificate->uris.empty())
    return printable(peer.certificate->uris.front(), limits::kIdentityBytesMax);
  if (peer.unix_peer)
    return fmt::format("process {} of user {}", peer.unix_peer->pid, peer.unix_peer->uid);
  return peer.address;
}

// What a certificate that was refused says of itself.
std::string claimed_identity(const http::Peer& peer) {
  if (!peer.certificate || peer.certificate->uris.empty()) return {};
  return printable(peer.certificate->uris.front(), limits::kIdentityBytesMax);
}

void log_decision(std::string_view id, const Caller& caller, const std::vector<std::string>& path,
                  const Result<Decision>& decision) {
  log::debug("decision", {{"decision_id", id},
                          {"caller", caller.name},
                          {"path", printable(reference_text(path), limits::kPathBytesMax)},
                          {"outcome", !decision         ? error_traits(decision.error().code).name
                                      : decision->value ? "defined"
                                                        : "undefined"}});
}

}  // namespace

std::optional<CallersAtOnce::Place> CallersAtOnce::enter(const std::string& caller,
                                                         size_t at_once) {
  if (at_once == 0) return Place();
  const std::scoped_lock lock(mutex_);
  const auto entry = under_way_.try_emplace(caller, 0).first;
  if (entry->second >= at_once) return std::nullopt;
  ++entry->second;
  return Place(this, caller);
}

void CallersAtOnce::leave(const std::string& caller) {
  const std::scoped_lock lock(mutex_);
  const auto entry = under_way_.find(caller);
  if (--entry->second == 0) under_way_.erase(entry);
}

Api::Api(ApiSettings settings, ApiParts parts, asio::thread_pool& pool)
    : settings_(std::make_shared<const ApiSettings>(std::move(settings))),
      parts_(std::move(parts)),
      pool_(pool),
      refused_(prometheus::BuildCounter()
                   .Name("notp_agent_requests_refused_total")
                   .Help("Requests refused for who asked or what was asked, by code")
                   .Register(*parts_.metrics)) {
  add_health_routes(router_, /*for_anyone=*/false);
  add_health_routes(health_router_, /*for_anyone=*/true);
  add_data_routes();
  add_opa_routes();
}

void Api::set(ApiSettings settings) {
  settings_.set(std::make_shared<const ApiSettings>(std::move(settings)));
}

http::Handler Api::own(Answer (Api::*route)(const http::Request&)) {
  return [this, route](const http::Request& request) { return (this->*route)(request); };
}

void Api::add_health_routes(http::Router& router, bool for_anyone) {
  router.add("GET", "/health/live", live);
  router.add("GET", "/health/ready", [this, for_anyone](const http::Request& request) {
    return ready(request, for_anyone);
  });
  router.add("GET", "/health", own(&Api::health));
  router.add("GET", "/health/*", own(&Api::health_rule));
  if (for_anyone)
    router.add("GET", "/metrics", [this](const http::Request& r) { return metrics(r); });
}

void Api::add_data_routes() {
  router_.add("GET POST", "/v1/data/*", own(&Api::data));
  router_.add("POST", "/v0/data/*", own(&Api::plain_data));
  router_.add("POST", "/", own(&Api::default_decision));
  router_.add("GET", "/", welcome);
  router_.add("POST", "/access/v1/evaluation", own(&Api::evaluation));
  router_.add("POST", "/access/v1/evaluations", own(&Api::evaluations));
  router_.add("GET", "/.well-known/authzen-configuration", own(&Api::authzen_metadata));
  router_.add("GET", "/v1/policies/*", own(&Api::policies));
  router_.add("GET", "/v1/status", own(&Api::status));
  router_.add("GET", "/metrics", [this](const http::Request& request) -> Answer {
    auto admitted = admit(request);
    if (!admitted) co_return std::move(admitted).error();
    if (auto may = Access::check_everything(admitted->caller, "the metrics"); !may)
      co_return refuse(request, may.error());
    co_return co_await metrics(request);
  });
  for (const LeftOut& route : left_out_routes())
    router_.add(route.methods, route.pattern, [this, &route](const http::Request& r) -> Answer {
      auto admitted = admit(r);
      if (!admitted) co_return std::move(admitted).error();
      co_return left_out_response(route);
    });
}

void Api::add_opa_routes() {
  if (!parts_.opa_bundle) return;
  const auto guarded = [this](const http::Handler& next) -> http::Handler {
    return [this, &next](const http::Request& request) { return as_opa(request, next); };
  };
  router_.add("GET", "/bundles/notp", guarded(parts_.opa_bundle));
  router_.add("POST", "/status", guarded(parts_.opa_status));
  router_.add("POST", "/logs", own(&Api::logs));
}

Api::Admission Api::admit(const http::Request& request) {
  auto settings = settings_.get();
  auto caller = settings->access.identify(request.peer, request.header("Authorization"),
                                          read_clock().wall_ms);
  if (!caller) return std::unexpected(refuse(request, caller.error()));
  auto place = at_once_.enter(caller->name, caller->at_once);
  if (!place)
    return std::unexpected(
        refuse(request, {kTooManyRequests, "too_many_requests",
                         fmt::format("{} has {} requests under way, as many as it may",
                                     caller->name, caller->at_once)}));
  return Admitted{std::move(settings), *std::move(caller), *std::move(place)};
}

http::Response Api::refuse(const http::Request& request, const Refusal& refusal) {
  refused_.Add({{"code", std::string(refusal.code)}}).Increment();
  const std::string peer = peer_text(request.peer);
  uint64_t count = 0;
  {
    const std::scoped_lock lock(refusals_mutex_);
    count = refusals_.count(peer, refusal.code, read_clock().boot_ms);
  }
  if (count > 0)
    log::warn("request_refused", {{"peer", peer},
                                  {"code", refusal.code},
                                  {"status", refusal.status},
                                  {"message", refusal.message},
                                  {"identity", claimed_identity(request.peer)},
                                  {"path", printable(request.path, limits::kPathBytesMax)},
                                  {"count", count}});
  http::Response response = http::error_response(refusal.status, refusal.code, refusal.message);
  if (refusal.status == kUnauthorized)
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"notp\"");
  if (refusal.status == kTooManyRequests) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Api::Answer Api::as_opa(const http::Request& request, const http::Handler& next) {
  const std::string_view authorization = request.header("Authorization");
  const bool accepted = request.peer.loopback && authorization.starts_with(kBearer) &&
                        equal_secrets(authorization.substr(kBearer.size()), parts_.opa_secret);
  if (parts_.opa_showed) parts_.opa_showed(accepted);
  if (accepted) co_return co_await next(request);
  co_return refuse(request, {kUnauthorized, "unauthorized", std::string(kOpaSecretHint)});
}

Api::Answer Api::data(const http::Request& request) {
  auto admitted = admit(request);
  if (!admitted) co_return std::move(admitted).error();
  DataQuestion asked = parse_data_question(request);
  if (auto may = Access::check_path(admitted->caller, asked.question.path); !may)
    co_return refuse(request, may.error());
  asked.question.caller = admitted->caller.name;
  const std::string id = random_uuid();
  const auto path = asked.question.path;
  const auto decision = first_of(co_await parts_.decisions->decide_all(std::move(asked.question)));
  if (parts_.logs_decisions) log_decision(id, admitted->caller, path, decision);
  co_return data_answer(
      {.pretty = asked.pretty,
       .warns_without_input = asked.is_post,
       .decision_id = id,
       .engine_version = asked.provenance ? std::optional(parts_.engine_version()) : std::nullopt},
      decision);
}

Api::Answer Api::plain_data(const http::Request& request) {
  auto admitted = admit(request);
  if (!admitted) co_return std::move(admitted).error();
  co_return co_await ask_plain(request, *std::move(admitted), parse_plain_question(request));
}

Api::Answer Api::default_decision(const http::Request& request) {
  auto admitted = admit(request);
  if (!admitted) co_return std::move(admitted).error();
  DataQuestion asked = parse_plain_question(request);
  asked.question.path = admitted->settings->default_decision;
  co_return co_await ask_plain(request, *std::move(admitted), std::move(asked));
}

Api::Answer Api::ask_plain(const http::Request& request, Admitted admitted, DataQuestion asked) {
  if (auto may = Access::check_path(admitted.caller, asked.question.path); !may)
    co_return refuse(request, may.error());
  asked.question.caller = admitted.caller.name;
  const auto path = asked.question.path;
  const auto decision = first_of(co_await parts_.decisions->decide_all(std::move(asked.question)));
  if (parts_.logs_decisions) log_decision(random_uuid(), admitted.caller, path, decision);
  co_return plain_answer(path, decision, asked.pretty);
}

Api::Answer Api::evaluation(const http::Request& request) {
  return authzen(request, /*several=*/false);
}
Api::Answer Api::evaluations(const http::Request& request) {
  return authzen(request, /*several=*/true);
}

Api::Answer Api::authzen(const http::Request& request, bool several) {
  auto admitted = admit(request);
  if (!admitted) co_return std::move(admitted).error();
  const auto& path = admitted->settings->authzen_path;
  if (auto may = Access::check_path(admitted->caller, path); !may)
    co_return refuse(request, may.error());
  const std::function<std::expected<AuthzenRequest, http::Response>()> parse = [&request, several] {
    return AuthzenRequest::parse(request.header("Content-Type"), request.body, several);
  };
  auto asked = co_await work_on(pool_, request.body.size() <= kSmallBodyBytes, parse);
  http::Response response = asked ? http::Response() : asked.error();
  if (asked)
    response = asked->respond(co_await parts_.decisions->decide_all(
        {.path = path, .inputs = asked->take_inputs(), .caller = admitted->caller.name}));
  // §10: the caller finds its answer in its own logs by this.
  if (const auto id = request.header("X-Request-ID"); !id.empty())
    response.headers.emplace_back("X-Request-ID", id);
  co_return response;
}

Api::Answer Api::authzen_metadata(const http::Request& request) {
  const bool is_tls = request.peer.transport == http::Transport::kTls;
  const std::string_view host = request.header("Host");
  co_return json_text_response(
      json::serialize(authzen_configuration(
          fmt::format("{}://{}", is_tls ? "https" : "http", host.empty() ? "localhost" : host))),
      /*pretty=*/false);
}

// Anyone may ask whether; what is behind it is for those who may see the status.
Api::Answer Api::ready(const http::Request& request, bool with_detail) {
  if (!with_detail) {
    const auto caller = settings_.get()->access.identify(
        request.peer, request.header("Authorization"), read_clock().wall_ms);
    with_detail = caller && caller->everything;
  }
  co_return ready_response(parts_.health(), with_detail);
}

Api::Answer Api::health(const http::Request& request) {
  co_return health_response(request, parts_.health());
}

Api::Answer Api::health_rule(const http::Request& request) {
  std::vector<std::string> path{"system", "health"};
  for (std::string& segment : request.segments_below("/health")) path.push_back(std::move(segment));
  const Health now = parts_.health();
  if (path.size() == 2) co_return health_response(request, now);
  Question question{.path = path, .inputs = {}, .caller = "probes"};
  question.inputs.emplace_back(health_rule_input(now));
  co_return health_rule_response(
      path, first_of(co_await parts_.decisions->decide_all(std::move(question))));
}

Api::Answer Api::metrics(const http::Request&) {
  if (parts_.refresh_metrics) parts_.refresh_metrics();
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = prometheus::TextSerializer().Serialize(parts_.metrics->Collect());
  response.may_compress = true;
  co_return response;
}

Api::Answer Api::status(const http::Request& request) {
  auto admitted = admit(request);
  if (!admitted) co_return std::move(admitted).error();
  if (auto may = Access::check_everything(admitted->caller, "the status"); !may)
    co_return refuse(request, may.error());
  co_return json_text_response(json::serialize(parts_.status()), flag_parameter(request, "pretty"));
}

Api::Answer Api::policies(const http::Request& request) {
  auto admitted = admit(request);
  if (!admitted) co_return std::move(admitted).error();
  if (auto may = Access::check_everything(admitted->caller, "the policies"); !may)
    co_return refuse(request, may.error());
  const std::function<http::Response()> read = [this, &request] {
    const std::string id =
        fmt::format("{}", fmt::join(request.segments_below("/v1/policies"), "/"));
    return policies_response(parts_.policies(), id, flag_parameter(request, "pretty"));
  };
  co_return co_await work_on(pool_, /*is_little=*/false, read);
}

Api::Answer Api::logs(const http::Request& request) {
  static const http::Handler kNotTaken = [](const http::Request&) -> Answer {
    co_return left_out_response(kDecisionLogs);
  };
  return as_opa(request, kNotTaken);
}

}  // namespace notp
