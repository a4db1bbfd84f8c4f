#include "notp-server/lane_inputs/push_routes.hpp"

#include <algorithm>

#include "common/json/json.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/security_event.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

constexpr unsigned kBadRequest = 400, kUnauthorized = 401, kForbidden = 403, kNotFound = 404,
                   kMethodNotAllowed = 405, kTooMany = 429, kUnavailable = 503;

// nullopt when there is none.
std::optional<std::string_view> bearer_of(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view value = request.header("Authorization");
  if (lower_case(value.substr(0, kScheme.size())) != kScheme) return std::nullopt;
  return value.substr(kScheme.size());
}

PushRequest read(const http::Request& request, PushForm form) {
  PushRequest out{.http = request, .token = std::nullopt};
  if (form == PushForm::kSets)
    out.token = read_set(request.body);
  else if (const auto bearer = bearer_of(request))
    out.token = jose::read_token(*bearer);
  return out;
}

http::Response without_sender(const PushRequest& request, PushForm form) {
  if (form == PushForm::kSets) {
    if (!request.token->has_value())
      return set_error("invalid_request", request.token->error().message);
    return set_error("invalid_issuer", "no source of this lane has this issuer");
  }
  if (const auto& shown = request.http.peer.certificate; shown && !shown->good())
    return http::error_response(kForbidden, shown->error_code, shown->error);
  if (request.http.peer.certificate || request.token)
    return http::error_response(kForbidden, "access_denied",
                                "no source of this lane may send by these credentials: see "
                                "identities and bearer of the lane's sources");
  http::Response out =
      http::error_response(kUnauthorized, "authentication_failed",
                           "show a client certificate with the role source, or an access token");
  out.headers.emplace_back("WWW-Authenticate", "Bearer");
  return out;
}

}  // namespace

void PushRoutes::add(const std::string& lane, PushForm form,
                     std::shared_ptr<PushReceiver> receiver) {
  const MutexLock lock(mutex_);
  receivers_[{lane, form}].push_back(std::move(receiver));
}

void PushRoutes::remove(const std::shared_ptr<PushReceiver>& receiver) {
  const MutexLock lock(mutex_);
  for (auto& [place, receivers] : receivers_) std::erase(receivers, receiver);
}

PushRoutes::Receivers PushRoutes::receivers_of(const std::string& lane, PushForm form) const {
  const MutexLock lock(mutex_);
  const auto found = receivers_.find({lane, form});
  return found == receivers_.end() ? Receivers() : found->second;
}

std::optional<http::Response> PushRoutes::refuse_certificate(const http::Request& request) const {
  const auto& shown = request.peer.certificate;
  if (!admits_ || !shown || !shown->good()) return std::nullopt;
  for (const std::string& uri : shown->uris)
    if (const auto admitted = admits_(uri); !admitted)
      return http::error_response(kForbidden, error_traits(admitted.error().code).name,
                                  admitted.error().message);
  return std::nullopt;
}

asio::awaitable<http::Response> PushRoutes::answer(const http::Request& request) const {
  constexpr size_t kSegments = 2;
  const auto segments = request.segments_below("/lane");
  const bool is_events = segments.size() == kSegments && segments[1] == "events";
  const bool is_sets = segments.size() == kSegments && segments[1] == "sets";
  const PushForm form = is_sets ? PushForm::kSets : PushForm::kEvents;
  Receivers receivers;
  if (is_events || is_sets) receivers = receivers_of(segments[0], form);
  if (receivers.empty())
    co_return http::error_response(
        kNotFound, "not_found",
        "there is no such lane here, or it has no source that receives this form");
  if (request.method != "POST") {
    http::Response out =
        http::error_response(kMethodNotAllowed, "method_not_allowed", "events are sent by POST");
    out.headers.emplace_back("Allow", "POST");
    co_return out;
  }
  if (auto refused = refuse_certificate(request)) co_return *std::move(refused);
  const PushRequest push = read(request, form);
  const auto best = std::ranges::max_element(
      receivers, {}, [&push](const auto& receiver) { return receiver->fit(push); });
  if ((*best)->fit(push) == PushFit::kNo) co_return without_sender(push, form);
  const std::shared_ptr<PushReceiver> receiver = *best;
  co_return co_await receiver->receive(push);
}

bool PushPlace::is_free() const { return number_ <= kPushesMax; }

http::Response set_error(std::string_view code, std::string_view description) {
  http::Response out;
  out.status = kBadRequest;
  out.headers.emplace_back("Content-Language", "en");
  out.body = json::serialize(json::object{{"err", code}, {"description", description}});
  return out;
}

http::Response try_again(const Error& error, int64_t after_s) {
  const bool is_rate = error.code == ErrorCode::kOverloaded || error.code == ErrorCode::kLimit;
  http::Response out = http::error_response(is_rate ? kTooMany : kUnavailable,
                                            error_traits(error.code).name, error.message);
  out.headers.emplace_back("Retry-After", std::to_string(after_s));
  return out;
}

std::string media_type_of(const http::Request& request) {
  const std::string_view value = request.header("Content-Type");
  std::string_view type = value.substr(0, value.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return lower_case(type);
}

}  // namespace notp::lane_inputs
