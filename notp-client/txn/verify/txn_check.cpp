#include "notp-client/txn/verify/txn_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/base64url.hpp"

namespace notp::txn {
namespace {

constexpr TimeMs kSecond = 1'000;

std::unexpected<Error> refuse(ErrorCode code, std::string_view check, std::string why) {
  return std::unexpected(Error{code, std::move(why), {{"check", std::string(check)}}});
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// `text` is JSON. A character that stands for broken ones, or an exponent with many digits, is read
// differently by different programs.
bool is_plain(std::string_view text) {
  if (text.contains("\xEF\xBF\xBD")) return false;
  bool in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') in_text = !in_text;
    if (in_text && text[i] == '\\') {
      const std::string_view escape = text.substr(i + 1, 5);
      if (escape == "ufffd" || escape == "uFFFD" ||
          (escape.size() == 5 && escape[0] == 'u' &&
           std::ranges::equal(escape, std::string_view("ufffd"), {}, [](char c) {
             return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
           })))
        return false;
      ++i;
      continue;
    }
    if (in_text || (text[i] != 'e' && text[i] != 'E')) continue;
    size_t at = i + 1;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t begin = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at - begin > rego::kTxnExponentDigitsMax) return false;
  }
  return true;
}

Result<void> check_plain(std::string_view compact) {
  size_t begin = 0;
  for (int part = 0; part < 2; ++part) {
    const size_t end = compact.find('.', begin);
    NOTP_ASSIGN(const Bytes text, from_base64url(compact.substr(begin, end - begin)));
    if (!is_plain(text))
      return refuse(ErrorCode::kMessage, "token.form",
                    part == 0 ? "the header could be read in two ways"
                              : "the claims could be read in two ways");
    begin = end + 1;
  }
  return {};
}

bool has_text(const json::object& claims, std::string_view name) {
  const json::value* const value = claims.if_contains(name);
  return value && value->is_string() && !value->get_string().empty();
}

Result<void> check_claims(const jose::Token& token, const rego::TxnRules& rules) {
  for (const std::string_view name : {"txn", "sub", "scope", "req_wl"})
    if (!has_text(token.claims, name))
      return refuse(ErrorCode::kMessage, "token.claims",
                    fmt::format("{} is missing, empty or not a string", name));
  for (const std::string_view name : {"tctx", "rctx"})
    if (const json::value* value = token.claims.if_contains(name); value && !value->is_object())
      return refuse(ErrorCode::kMessage, "token.claims", fmt::format("{} is not an object", name));
  const json::value* const audience = token.claims.if_contains("aud");
  if (!audience || !audience->is_string() || audience->get_string() != rules.audience)
    return refuse(ErrorCode::kWrongTarget, "token.aud", "aud is not this trust domain");
  return {};
}

// Without the leeway that check_token() gives: OPA gives none to exp and nbf.
Result<void> check_times(const jose::Token& token, TimeMs now_ms) {
  const json::value* const iat = token.claims.if_contains("iat");
  const json::value* const exp = token.claims.if_contains("exp");
  if (!iat || !exp) return refuse(ErrorCode::kMessage, "token.claims", "iat or exp is missing");
  if (exp->to_number<double>() - iat->to_number<double>() > static_cast<double>(rego::kTxnLifeS))
    return refuse(ErrorCode::kExpired, "token.life",
                  fmt::format("the token lives longer than {} s", rego::kTxnLifeS));
  if (now_ms >= jose::numeric_date_ms(*exp).value_or(0))
    return refuse(ErrorCode::kExpired, "token.exp", "the token has expired");
  const json::value* const nbf = token.claims.if_contains("nbf");
  if (nbf && jose::numeric_date_ms(*nbf).value_or(kNever) > now_ms)
    return refuse(ErrorCode::kClock, "token.nbf", "the token is not valid yet");
  return {};
}

Result<void> check_key(const jose::Token& token, const jose::KeySet& keys) {
  const auto key = std::ranges::find(keys.keys(), token.kid, &jose::PublicJwk::kid);
  if (key == keys.keys().end())
    return refuse(ErrorCode::kSignature, "token.kid", "no key of the set has the kid of the token");
  // OPA knows no other curve for EdDSA.
  if (token.algorithm == jose::Algorithm::kEdDsa && key->crv() != "Ed25519")
    return refuse(ErrorCode::kSignature, "token.key", "the key is not on Ed25519");
  return {};
}

}  // namespace

Result<TxnToken> check_txn_token(std::string_view compact, const jose::KeySet& keys,
                                 const rego::TxnRules& rules, TimeMs now_ms) {
  NOTP_ASSIGN(const jose::Token token, jose::read_token(compact, rego::kTxnTokenBytesMax));
  if (token.typ != kTxnCheckedTyp)
    return refuse(ErrorCode::kWrongTarget, "token.typ", "typ is not txntoken+jwt");
  if (token.kid.empty()) return refuse(ErrorCode::kSignature, "token.key", "kid is missing");
  NOTP_TRY(check_key(token, keys));
  const json::value* const issuer = token.claims.if_contains("iss");
  NOTP_TRY(jose::check_token(token, keys,
                             {.algorithms = {jose::Algorithm::kEs256, jose::Algorithm::kEs384,
                                             jose::Algorithm::kEs512, jose::Algorithm::kEdDsa},
                              .typ = std::string(kTxnCheckedTyp),
                              .issuer = issuer ? std::string(issuer->get_string()) : std::string(),
                              .audience = rules.audience,
                              .now_ms = now_ms,
                              .leeway_ms = rego::kTxnAheadS * kSecond}));
  NOTP_TRY(check_claims(token, rules));
  NOTP_TRY(check_times(token, now_ms));
  NOTP_TRY(check_plain(compact));
  return TxnToken{.txn = std::string(token.claims.at("txn").get_string()),
                  .sub = std::string(token.claims.at("sub").get_string()),
                  .req_wl = std::string(token.claims.at("req_wl").get_string()),
                  .exp_ms = jose::numeric_date_ms(token.claims.at("exp")).value_or(0)};
}

TxnSigner signer_of(std::string_view compact) {
  const auto token = jose::read_token(compact, rego::kTxnTokenBytesMax);
  if (!token) return {};
  const json::value* const issuer = token->claims.if_contains("iss");
  return {issuer ? std::string(issuer->get_string()) : std::string(), token->kid};
}

}  // namespace notp::txn
