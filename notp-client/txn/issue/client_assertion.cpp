#include "notp-client/txn/issue/client_assertion.hpp"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/err.h>

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

// With or without the prefix that RFC 7515 §4.1.9 lets senders leave out.
bool is_typ(std::string_view typ, std::string_view type) {
  return equal_ignoring_case(typ, type) ||
         equal_ignoring_case(typ, fmt::format("application/{}", type));
}

// Whether it is one sequence to its end: there is no room for a second certificate.
bool is_one_sequence(const Bytes& der) {
  const auto* const begin = reinterpret_cast<const unsigned char*>(der.data());
  const auto* at = begin;
  long length = 0;  // NOLINT(google-runtime-int): OpenSSL's
  int tag = 0, tag_class = 0;
  const int form = ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(der.size()));
  ERR_clear_error();
  return form == V_ASN1_CONSTRUCTED && tag == V_ASN1_SEQUENCE && tag_class == V_ASN1_UNIVERSAL &&
         at + length == begin + der.size();
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
    if (!der || !is_one_sequence(*der))
      return bad("x5c has something that is not one certificate in base64");
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
  if (is_typ(token.typ, kTyp)) expected.typ = kTyp;
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

TokenResult<JtiUse> check_assertion_claims(const ClientAssertion& assertion,
                                           std::string_view issuer, TimeMs now_ms) {
  const jose::Token& token = assertion.token;
  if (!token.typ.empty() && !is_typ(token.typ, "JWT") && !is_typ(token.typ, kTyp))
    return bad(fmt::format("typ must be {}", kTyp));
  const std::string_view aud = only_audience(token.claims);
  if (aud != issuer && aud != fmt::format("{}/token", issuer))
    return bad("aud must be the issuer of this service, or its token endpoint, and no other");
  const std::string_view iss = text_in(token.claims, "iss");
  if (iss.empty() || text_in(token.claims, "sub") != iss)
    return bad("iss and sub must be the identity of the certificate");
  const std::string_view jti = text_in(token.claims, "jti");
  if (jti.empty() || jti.size() > limits::kTxnIdentifierBytesMax)
    return bad(fmt::format("it needs a jti of 1 to {} bytes", limits::kTxnIdentifierBytesMax));
  const json::value* const exp = token.claims.if_contains("exp");
  const TimeMs ends_ms = exp ? jose::numeric_date_ms(*exp).value_or(0) : 0;
  if (now_ms - limits::kTxnSkewMs >= ends_ms)
    return token_refused(Refusal::kAssertionExpired,
                         exp ? "client_assertion: it has expired" : "client_assertion: no exp");
  if (ends_ms > now_ms + limits::kTxnAssertionLifeMsMax + limits::kTxnSkewMs)
    return bad(
        fmt::format("it may end {} s from now at most", limits::kTxnAssertionLifeMsMax / 1'000));
  return JtiUse{std::string(iss), std::string(jti), "", ends_ms + limits::kTxnSkewMs};
}

TokenResult<JtiUse> check_client_assertion(ClientAssertion assertion, const Client& client,
                                           std::string_view issuer, TimeMs now_ms) {
  NOTP_ASSIGN(JtiUse use, check_assertion_claims(assertion, issuer, now_ms));
  jose::Token& token = assertion.token;
  token.kid.clear();  // whatever it calls its key: there is one
  NOTP_TRY(check_signed(token, client, only_audience(token.claims), now_ms));
  return use;
}

}  // namespace notp::txn
