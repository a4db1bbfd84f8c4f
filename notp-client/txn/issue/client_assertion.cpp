#include "notp-client/txn/issue/client_assertion.hpp"

#include <fmt/format.h>

#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

// Tells it from other JWTs of the client (draft-ietf-oauth-rfc7523bis); clients before that draft
// send JWT, or none.
constexpr std::string_view kTyp = "client-authentication+jwt";

std::unexpected<TokenError> bad(std::string_view why) {
  return token_refused(Refusal::kBadAssertion, fmt::format("client_assertion: {}", why));
}

TokenResult<Bytes> chain_of(const json::object& header) {
  const json::value* x5c = header.if_contains("x5c");
  if (x5c == nullptr || !x5c->is_array() || x5c->get_array().empty() ||
      x5c->get_array().size() > limits::kTxnAssertionCertificatesMax)
    return bad(
        fmt::format("its header needs x5c, the client's certificate and 0 to {} between it "
                    "and its authority",
                    limits::kTxnAssertionCertificatesMax - 1));
  Bytes out;
  for (const json::value& one : x5c->get_array()) {
    const auto der = one.is_string() ? from_base64(one.get_string()) : Result<Bytes>(Bytes());
    if (!der || der->empty()) return bad("x5c has something that is no certificate in base64");
    out += *der;
  }
  return out;
}

std::string_view only_audience(const json::object& claims) {
  const json::value* aud = claims.if_contains("aud");
  if (aud == nullptr || !aud->is_array()) return text_in(claims, "aud");
  const json::array& all = aud->get_array();
  return all.size() == 1 && all[0].is_string() ? std::string_view(all[0].get_string()) : "";
}

TokenResult<> check_signed(const jose::Token& token, const Client& client, std::string_view aud,
                           TimeMs now_ms) {
  if (!client.key) return bad("the key of the client's certificate is not one that signs JWTs");
  const auto keys = jose::KeySet::parse(
      json::object{{"keys", json::array{client.key->with_kid("").canonical()}}});
  if (!keys) return bad("the key of the client's certificate is not one that signs JWTs");
  jose::TokenRules expected;
  for (const jose::Algorithm algorithm : jose::all_algorithms())
    if (client.key->fits(algorithm)) expected.algorithms.push_back(algorithm);
  if (equal_ignoring_case(token.typ, kTyp)) expected.typ = kTyp;
  expected.issuer = client.identity;
  expected.audience = aud;
  expected.now_ms = now_ms;
  expected.leeway_ms = limits::kTxnSkewMs;
  const auto checked = jose::check_token(token, *keys, expected);
  if (checked) return {};
  if (checked.error().code == ErrorCode::kExpired)
    return token_refused(Refusal::kAssertionExpired,
                         fmt::format("client_assertion: {}", checked.error().message));
  return bad(checked.error().message);
}

}  // namespace

TokenResult<ClientAssertion> read_client_assertion(const TokenForm& form) {
  if (form.client_assertion.empty() || form.client_assertion_type != kClientAssertionType)
    return bad(fmt::format("it comes with client_assertion_type={}", kClientAssertionType));
  auto token = jose::read_token(form.client_assertion, limits::kTxnAssertionBytesMax);
  if (!token) return bad(token.error().message);
  ClientAssertion out{.token = *std::move(token), .chain = {}};
  NOTP_ASSIGN(out.chain, chain_of(out.token.header));
  return out;
}

TokenResult<JtiUse> check_client_assertion(ClientAssertion assertion, const Client& client,
                                           std::string_view issuer, TimeMs now_ms) {
  jose::Token& token = assertion.token;
  token.kid.clear();  // whatever it calls its key: there is one
  const std::string_view aud = only_audience(token.claims);
  if (aud != issuer && aud != fmt::format("{}/token", issuer))
    return bad("aud must be the issuer of this service, or its token endpoint, and no other");
  NOTP_TRY(check_signed(token, client, aud, now_ms));
  if (text_in(token.claims, "sub") != client.identity)
    return bad("sub must be iss, the identity of the certificate");
  const std::string_view jti = text_in(token.claims, "jti");
  if (jti.empty() || jti.size() > limits::kTxnIdentifierBytesMax)
    return bad(fmt::format("it needs a jti of 1 to {} bytes", limits::kTxnIdentifierBytesMax));
  const TimeMs until_ms = jose::numeric_date_ms(token.claims.at("exp")).value_or(0);
  if (until_ms > now_ms + limits::kTxnAssertionLifeMsMax + limits::kTxnSkewMs)
    return bad(
        fmt::format("it may end {} s from now at most", limits::kTxnAssertionLifeMsMax / 1'000));
  return JtiUse{client.identity, std::string(jti), "", until_ms + limits::kTxnSkewMs};
}

}  // namespace notp::txn
