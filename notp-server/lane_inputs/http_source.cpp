#include "notp-server/lane_inputs/http_source.hpp"

#include <atomic>
#include <utility>

#include "common/json/json.hpp"
#include "notp-server/lane_inputs/intake_gate.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/own_events.hpp"
#include "notp-server/lane_inputs/push_access.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "notp-server/lane_inputs/source_stats.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

constexpr unsigned kAccepted = 202, kBadRequest = 400, kUnauthorized = 401, kTooLarge = 413,
                   kUnsupportedType = 415;

json::object refusal_of(size_t line, const Error& error) {
  const std::string_view rule = rule_of(error);
  return {{"line", line},
          {"code", rule.empty() ? error_traits(error.code).name : rule},
          {"message", error.message}};
}

bool is_event_type(const http::Request& request) {
  const std::string type = media_type_of(request);
  return type == "application/x-ndjson" || type == "application/jsonl" ||
         type == "application/json";
}

class EventsReceiver final : public PushReceiver {
 public:
  EventsReceiver(const HttpTerms& terms, const SourceParts& parts, const std::string& name,
                 std::shared_ptr<SourceStats> stats)
      : terms_(terms),
        issuer_keys_(parts.issuer_keys),
        stats_(std::move(stats)),
        gate_(parts.intake, name) {}

  PushFit fit(const PushRequest& request) const override {
    if (is_covered(request.http, terms_.identities)) return PushFit::kWhole;
    const bool is_bearer = terms_.bearer && request.token;
    if (!is_bearer) return PushFit::kNo;
    // Several sources may have clients of one issuer.
    const bool is_client =
        request.token->has_value() && names_client_of(**request.token, *terms_.bearer);
    return is_client ? PushFit::kWhole : PushFit::kPartly;
  }

  asio::awaitable<http::Response> receive(const PushRequest& request) override {
    if (auto refused = refuse_sender(request)) co_return *std::move(refused);
    if (!is_event_type(request.http))
      co_return http::error_response(kUnsupportedType, "media_type",
                                     "events are lines of JSON: application/x-ndjson");
    const PushPlace place(waiting_);
    if (!place.is_free())
      co_return try_again({ErrorCode::kOverloaded, "too many requests of this source wait", {}},
                          kRetryAfterS);
    co_return co_await take(request.http.body);
  }

  void close() { gate_.close(); }

 private:
  std::optional<http::Response> refuse_sender(const PushRequest& request) const {
    if (is_covered(request.http, terms_.identities)) return std::nullopt;
    Result<void> checked = fail(ErrorCode::kDenied, "the access token cannot be read");
    if (terms_.bearer && request.token && request.token->has_value())
      checked = check_bearer(**request.token, *terms_.bearer, issuer_keys_, read_clock().wall_ms);
    if (checked) return std::nullopt;
    if (checked.error().code != ErrorCode::kDenied)
      return try_again(checked.error(), kKeyRetryAfterS);
    stats_->refused(refuse("sender", checked.error().message).error());
    http::Response out =
        http::error_response(kUnauthorized, "authentication_failed", checked.error().message);
    out.headers.emplace_back("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    return out;
  }

  // Refused lines do not hold up the others.
  asio::awaitable<http::Response> take(ByteView body) {
    auto lines = read_event_lines(body, terms_.subject_issuers, read_clock().wall_ms);
    if (!lines)
      co_return http::error_response(kTooLarge, error_traits(lines.error().code).name,
                                     lines.error().message);
    json::array refused;
    std::vector<lane::IncomingEvent> events;
    std::vector<size_t> numbers;  // of their lines
    for (EventLine& line : *lines) {
      if (line.event) {
        events.push_back(*std::move(line.event));
        numbers.push_back(line.number);
      } else {
        stats_->refused(line.event.error());
        refused.push_back(refusal_of(line.number, line.event.error()));
      }
    }
    if (events.empty()) co_return nothing_taken(std::move(refused));
    const auto taken = co_await gate_.take(std::move(events));
    const Now now = read_clock();
    if (!taken) {
      if (taken.error().code != ErrorCode::kCancelled) stats_->failed(taken.error(), now);
      co_return try_again(taken.error(), kRetryAfterS);
    }
    stats_->succeeded(now);
    co_return accepted(*taken, numbers, std::move(refused), now);
  }

  static http::Response nothing_taken(json::array refused) {
    http::Response out = http::error_response(kBadRequest, "no_event",
                                              "no line of the body is an event; see \"refused\"");
    out.body = json::serialize(
        json::object{{"code", "no_event"},
                     {"message", "no line of the body is an event; \"refused\" says why"},
                     {"refused", std::move(refused)}});
    return out;
  }

  http::Response accepted(const lane::IntakeOutcome& taken, const std::vector<size_t>& numbers,
                          json::array refused, Now now) {
    size_t good = numbers.size();
    for (size_t i = 0; i < numbers.size() && i < taken.refused.size(); ++i) {
      if (!taken.refused[i]) continue;
      --good;
      stats_->refused(
          refuse(taken.refused[i]->code == ErrorCode::kLimit ? "lane.full" : "lane.refused",
                 taken.refused[i]->message)
              .error());
      refused.push_back(refusal_of(numbers[i], *taken.refused[i]));
    }
    stats_->taken(good, now);
    http::Response out;
    out.status = kAccepted;
    out.body = json::serialize(
        json::object{{"revision", taken.revision}, {"refused", std::move(refused)}});
    return out;
  }

  const HttpTerms terms_;
  const IssuerKeys issuer_keys_;
  const std::shared_ptr<SourceStats> stats_;
  IntakeGate gate_;
  std::atomic<size_t> waiting_ = 0;
};

class HttpSource final : public lane::LaneSource {
 public:
  HttpSource(const SourceConfig& config, const SourceParts& parts)
      : lane_(parts.lane),
        routes_(*parts.routes),
        stats_(std::make_shared<SourceStats>(
            parts.lane, config.name, config.kind,
            "what the sender tells: tokens, revocations; its silence says nothing",
            Contact::kPassive)),
        receiver_(std::make_shared<EventsReceiver>(dynamic_cast<const HttpTerms&>(*config.terms),
                                                   parts, config.name, stats_)) {}
  ~HttpSource() override { stop(); }
  HttpSource(const HttpSource&) = delete;
  HttpSource& operator=(const HttpSource&) = delete;

  void start() override { routes_.add(lane_, PushForm::kEvents, receiver_); }
  void stop() override {
    routes_.remove(receiver_);
    receiver_->close();
  }
  lane::SourceState state() const override { return stats_->state(read_clock()); }

 private:
  const std::string lane_;
  PushRoutes& routes_;
  const std::shared_ptr<SourceStats> stats_;
  const std::shared_ptr<EventsReceiver> receiver_;
};

}  // namespace

Result<std::unique_ptr<lane::LaneSource>> make_http_source(const SourceConfig& config,
                                                           const SourceParts& parts) {
  if (parts.routes == nullptr)
    return fail(ErrorCode::kConfig,
                "it receives requests: lanes.listen says at which address; there is none");
  return std::make_unique<HttpSource>(config, parts);
}

}  // namespace notp::lane_inputs
