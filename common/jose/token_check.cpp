#include <fmt/format.h>

#include <algorithm>

#include "common/jose/token.hpp"

namespace notp::jose {
namespace {

std::unexpected<Error> refuse(ErrorCode code, std::string_view check, std::string why) {
  return std::unexpected(Error{code, std::move(why), {{"check", std::string(check)}}});
}

std::string media_type(std::string_view typ) {
  std::string type(typ);
  std::ranges::transform(type, type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::string_view kPrefix = "application/";
  return type.starts_with(kPrefix) ? type.substr(kPrefix.size()) : type;
}

Result<void> check_type(const Token& token, const TokenRules& rules) {
  const std::string type = media_type(token.typ);
  const bool good =
      rules.typ.empty() ? type.empty() || type == "jwt" : type == media_type(rules.typ);
  if (good) return {};
  return refuse(ErrorCode::kWrongTarget, "token.typ",
                fmt::format("typ is \"{}\", not \"{}\"", printable(token.typ, 60),
                            rules.typ.empty() ? "JWT" : rules.typ));
}

bool has_text(const json::value& value, std::string_view text) {
  return value.is_string() && value.get_string() == text;
}

Result<void> check_issuer(const Token& token, const TokenRules& rules) {
  const json::value* issuer = token.claims.if_contains("iss");
  if (issuer == nullptr && rules.issuer.empty()) return {};
  if (issuer != nullptr && !rules.issuer.empty() && has_text(*issuer, rules.issuer)) return {};
  return refuse(
      ErrorCode::kWrongTarget, "token.iss",
      rules.issuer.empty()
          ? "the token has an iss, which is not expected"
          : fmt::format("iss is {}, not \"{}\"",
                        issuer == nullptr ? "missing"
                                          : fmt::format("\"{}\"", printable(issuer->get_string())),
                        rules.issuer));
}

Result<void> check_audience(const Token& token, const TokenRules& rules) {
  const json::value* audience = token.claims.if_contains("aud");
  if (audience == nullptr && rules.audience.empty()) return {};
  const auto is_ours = [&rules](const json::value& one) { return has_text(one, rules.audience); };
  if (audience != nullptr && !rules.audience.empty() &&
      (audience->is_array() ? std::ranges::any_of(audience->get_array(), is_ours)
                            : is_ours(*audience)))
    return {};
  return refuse(ErrorCode::kWrongTarget, "token.aud",
                rules.audience.empty() ? "the token has an aud, which is not expected"
                                       : fmt::format("aud does not have \"{}\"", rules.audience));
}

// kNever when there is no such claim. read_token() has checked its form.
TimeMs date_of(const Token& token, std::string_view name) {
  const json::value* date = token.claims.if_contains(name);
  return date == nullptr ? kNever : numeric_date_ms(*date).value_or(kNever);
}

Result<void> check_times(const Token& token, const TokenRules& rules) {
  const TimeMs exp = date_of(token, "exp"), nbf = date_of(token, "nbf"),
               iat = date_of(token, "iat");
  if (exp == kNever && rules.needs_expiry)
    return refuse(ErrorCode::kExpired, "token.exp", "the token has no exp");
  // RFC 7519 §4.1.4: "on or after" is too late.
  if (exp != kNever && rules.now_ms - rules.leeway_ms >= exp)
    return refuse(ErrorCode::kExpired, "token.exp",
                  fmt::format("the token expired at {}", utc_time(exp)));
  if (nbf != kNever && nbf > rules.now_ms + rules.leeway_ms)
    return refuse(ErrorCode::kClock, "token.nbf",
                  fmt::format("the token is not valid before {}", utc_time(nbf)));
  if (iat != kNever && iat > rules.now_ms + rules.leeway_ms)
    return refuse(ErrorCode::kClock, "token.iat",
                  fmt::format("the token was issued in the future, at {}", utc_time(iat)));
  if (rules.age_ms_max <= 0) return {};
  if (iat == kNever) return refuse(ErrorCode::kClock, "token.iat", "the token has no iat");
  if (rules.now_ms - iat > rules.age_ms_max + rules.leeway_ms)
    return refuse(ErrorCode::kExpired, "token.age",
                  fmt::format("the token was issued at {}, which is too long ago", utc_time(iat)));
  return {};
}

Result<void> check_signature(const Token& token, const KeySet& keys) {
  const auto candidates = keys.candidates(token.kid, token.algorithm);
  if (candidates.empty())
    return refuse(
        ErrorCode::kSignature, "token.key",
        token.kid.empty()
            ? fmt::format("no key of the set is one for {}", algorithm_name(token.algorithm))
            : fmt::format("no key of the set has the kid \"{}\" and is one "
                          "for {}",
                          printable(token.kid, 80), algorithm_name(token.algorithm)));
  if (candidates.size() > kKeysTriedMax)
    return refuse(ErrorCode::kSignature, "token.key",
                  fmt::format("the token names no kid, and {} keys of the set would have to be "
                              "tried; {} are allowed",
                              candidates.size(), kKeysTriedMax));
  const bool good = std::ranges::any_of(candidates, [&token](const PublicJwk* key) {
    return key->verify(token.algorithm, token.signing_input, token.signature).has_value();
  });
  if (good) return {};
  return refuse(ErrorCode::kSignature, "token.signature",
                "the signature is not one of the issuer's key over this token");
}

Result<void> check_algorithm(const Token& token, const TokenRules& rules) {
  if (std::ranges::find(rules.algorithms, token.algorithm) != rules.algorithms.end()) return {};
  return refuse(ErrorCode::kSignature, "token.alg",
                fmt::format("alg {} is not one of those allowed for this issuer",
                            algorithm_name(token.algorithm)));
}

}  // namespace

Result<void> check_claims(const Token& token, const TokenRules& rules) {
  NOTP_TRY(check_algorithm(token, rules));
  NOTP_TRY(check_type(token, rules));
  NOTP_TRY(check_issuer(token, rules));
  NOTP_TRY(check_audience(token, rules));
  return check_times(token, rules);
}

Result<void> check_token(const Token& token, const KeySet& keys, const TokenRules& rules) {
  NOTP_TRY(check_algorithm(token, rules));
  NOTP_TRY(check_signature(token, keys));
  return check_claims(token, rules);
}

}  // namespace notp::jose
