#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <cmath>

#include "common/oauth/access_core.hpp"
#include "common/oauth/oauth_limits.hpp"

namespace notp::oauth {
namespace {

std::unexpected<Error> not_an_answer(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("not an answer of a token endpoint: {}", why));
}

bool is_too_busy(unsigned status) { return status == 429 || status >= 500; }

// RFC 6749 §5.2; "" for anything but a plain name, which could be anything, a secret too.
std::string error_name(const http::Response& response) {
  const auto body = parse_json(response.content());
  const json::value* error =
      body && body->is_object() ? body->get_object().if_contains("error") : nullptr;
  if (error == nullptr || !error->is_string()) return {};
  const std::string_view name = error->get_string();
  const bool is_name = name.size() <= kErrorNameBytesMax && std::ranges::all_of(name, [](char c) {
                         return (c >= 'a' && c <= 'z') || c == '_';
                       });
  return is_name ? std::string(name) : std::string();
}

// RFC 6750 §2.1: b64token.
bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~+/=").contains(c);
}

Result<std::string> text_member(const json::object& answer, std::string_view name) {
  const json::value* value = answer.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().empty())
    return not_an_answer(fmt::format("{} is missing or not a text", name));
  return std::string(value->get_string());
}

Result<TimeMs> life_in(const json::object& answer) {
  const json::value* seconds = answer.if_contains("expires_in");
  if (seconds == nullptr) return kUnstatedLifeMs;
  const double life = seconds->is_number() ? seconds->to_number<double>() : -1;
  if (!(life >= 0)) return not_an_answer("expires_in is not a number of seconds");
  return life >= static_cast<double>(kTokenLifeMsMax / 1'000)
             ? kTokenLifeMsMax
             : static_cast<TimeMs>(std::floor(life * 1'000));
}

}  // namespace

Result<AccessToken> read_token_answer(const http::Response& response, std::string key_thumbprint,
                                      TimeMs asked_boot_ms) {
  if (is_too_busy(response.status))
    return fail(ErrorCode::kUnavailable,
                fmt::format("the token endpoint answers with status {}", response.status));
  if (response.status != 200) {
    const std::string error = error_name(response);
    return fail(ErrorCode::kDenied, fmt::format("the token endpoint refuses with status {}{}{}",
                                                response.status, error.empty() ? "" : ", ", error));
  }
  if (response.content().size() > kTokenAnswerBytesMax) return not_an_answer("too long");
  const auto body = parse_json(response.content());
  if (!body || !body->is_object()) return not_an_answer("not a JSON object");
  const json::object& answer = body->get_object();
  NOTP_ASSIGN(std::string token, text_member(answer, "access_token"));
  if (token.size() > kAccessTokenBytesMax)
    return not_an_answer(fmt::format("access_token has {} bytes; {} are allowed", token.size(),
                                     kAccessTokenBytesMax));
  if (!std::ranges::all_of(token, is_token_char))
    return not_an_answer("access_token has characters that a header cannot have");
  NOTP_ASSIGN(const std::string type, text_member(answer, "token_type"));
  const std::string_view wanted = key_thumbprint.empty() ? "bearer" : "dpop";
  if (!boost::beast::iequals(type, wanted))
    return not_an_answer(fmt::format("token_type is \"{}\", not {}", printable(type, 40), wanted));
  NOTP_ASSIGN(const TimeMs life_ms, life_in(answer));
  return AccessToken{.text = std::move(token),
                     .key_thumbprint = std::move(key_thumbprint),
                     .until_ms = asked_boot_ms + life_ms - std::min(kRenewalMs, life_ms / 5)};
}

}  // namespace notp::oauth
