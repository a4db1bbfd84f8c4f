#include "notp-server/lane_inputs/introspection.hpp"

#include <fmt/format.h>

#include <array>

#include "common/jose/json_depth.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

constexpr std::string_view kFront = "introspection.", kCheckFront = "token.";
constexpr unsigned kOk = 200, kBadRequest = 400, kUnauthorized = 401, kForbidden = 403,
                   kTooManyRequests = 429, kServerErrors = 500;
// What a lane may carry (RFC 7662 §2.2, RFC 9068 §2.2, RFC 7800). The lane's own list is shorter.
constexpr std::array<std::string_view, 12> kAttributes = {"iss", "sub",       "client_id", "scope",
                                                          "aud", "exp",       "iat",       "acr",
                                                          "amr", "auth_time", "sid",       "cnf"};

std::unexpected<Error> broken(std::string_view rule, std::string message) {
  return refuse(fmt::format("{}{}", kFront, rule), std::move(message));
}

// The code of RFC 6749 §5.2, which says what a status 400 does not.
std::string_view error_code_in(const json::value& body) {
  const json::object* object = body.if_object();
  const json::value* code = object == nullptr ? nullptr : object->if_contains("error");
  const json::string* text = code == nullptr ? nullptr : code->if_string();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

std::unexpected<Error> bad_status(const http::Response& response) {
  if (response.status == kUnauthorized || response.status == kForbidden)
    return fail(
        ErrorCode::kDenied,
        fmt::format("the introspection endpoint answers {}: it does not let this client ask",
                    response.status));
  if (response.status == kTooManyRequests || response.status >= kServerErrors)
    return fail(ErrorCode::kUnavailable,
                fmt::format("the introspection endpoint answers {}", response.status));
  if (response.status == kBadRequest) {
    const auto body = jose::parse_shallow_json(response.content());
    if (body && error_code_in(*body) == "unsupported_token_type")
      return broken(
          "unsupported-token",
          "the endpoint does not introspect tokens of this kind (JWTs, at many providers)");
  }
  return broken("status", fmt::format("the introspection endpoint answers {}", response.status));
}

// RFC 9701 §5: the claim token_introspection of a JWT.
Result<json::value> open_signed(std::string_view text, const IntrospectionRules& rules) {
  if (!rules.keys)
    return fail(ErrorCode::kUnavailable,
                fmt::format("no keys of {} are there yet; is it one of sources.issuers?",
                            printable(rules.issuer)));
  auto token = jose::read_token(text, kIntrospectionBytesMax);
  if (!token) return broken("not-a-token", std::move(token).error().message);
  const auto all = jose::all_algorithms();
  const jose::TokenRules wanted{.algorithms = {all.begin(), all.end()},
                                .typ = "token-introspection+jwt",
                                .issuer = rules.issuer,
                                .audience = rules.signed_for,
                                .now_ms = rules.now_ms,
                                .age_ms_max = kSignedAnswerAgeMsMax,
                                .needs_expiry = false};
  if (auto checked = jose::check_token(*token, *rules.keys, wanted); !checked) {
    for (const auto& [name, value] : checked.error().context)
      if (name == "check" && value.starts_with(kCheckFront))
        return broken(value.substr(kCheckFront.size()), checked.error().message);
    return broken("not-a-token", std::move(checked).error().message);
  }
  const json::value* claim = token->claims.if_contains("token_introspection");
  if (claim == nullptr)
    return broken("not-an-object", "the signed answer has no token_introspection");
  return *claim;
}

Result<json::value> body_of(const http::Response& response, const IntrospectionRules& rules) {
  if (!rules.signed_for.empty()) return open_signed(response.content(), rules);
  auto value = jose::parse_shallow_json(response.content());
  if (!value) return broken("not-json", "the introspection endpoint's answer is not JSON");
  return value;
}

// A time that is a claim; nullopt: absent.
Result<std::optional<TimeMs>> time_in(const json::object& answer, std::string_view name) {
  const json::value* value = answer.if_contains(name);
  if (value == nullptr) return std::nullopt;
  const auto time = jose::numeric_date_ms(*value);
  if (!time)
    return broken(name == "nbf" ? "inactive-yet" : "exp",
                  fmt::format("{} of the answer is not a time", name));
  return *time;
}

bool is_text(const json::value& value, std::string_view text) {
  return value.is_string() && std::string_view(value.get_string()) == text;
}

// What an endpoint calls active although its own times say otherwise is not taken.
Result<bool> is_alive(const json::object& answer, const IntrospectionRules& rules) {
  if (const json::value* issuer = answer.if_contains("iss");
      issuer != nullptr && !rules.issuer.empty() && !is_text(*issuer, rules.issuer))
    return broken("iss", "iss of the answer is not the configured issuer");
  NOTP_ASSIGN(const auto not_before, time_in(answer, "nbf"));
  if (not_before && *not_before > rules.now_ms + jose::kLeewayMs)
    return broken("inactive-yet", "the token is not valid yet");
  NOTP_ASSIGN(const auto exp, time_in(answer, "exp"));
  return !exp || *exp > rules.now_ms;
}

}  // namespace

std::string_view introspection_type(bool is_signed) {
  return is_signed ? "application/token-introspection+jwt" : "application/json";
}

Result<std::optional<json::object>> read_introspection(const http::Response& response,
                                                       const IntrospectionRules& rules) {
  if (response.status != kOk) return bad_status(response);
  NOTP_ASSIGN(const json::value body, body_of(response, rules));
  if (!body.is_object()) return broken("not-an-object", "the answer is not a JSON object");
  const json::object& answer = body.get_object();
  const json::value* active = answer.if_contains("active");
  if (active == nullptr || !active->is_bool())
    return broken("no-active", "the answer does not say whether the token is active");
  if (!active->get_bool()) return std::nullopt;
  NOTP_ASSIGN(const bool lives, is_alive(answer, rules));
  if (!lives) return std::nullopt;
  json::object out;
  for (const std::string_view name : kAttributes)
    if (const json::value* value = answer.if_contains(name)) out.emplace(name, *value);
  if (!out.contains("iss") && !rules.issuer.empty()) out.emplace("iss", rules.issuer);
  return out;
}

}  // namespace notp::lane_inputs
