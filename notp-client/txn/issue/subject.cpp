#include "notp-client/txn/issue/subject.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/jose/json_depth.hpp"
#include "common/jose/openssl_keys.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/issue/token_answer.hpp"
#include "notp-client/txn/issue/token_kind.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::txn {
namespace {

constexpr std::string_view kPlainTyp = "JWT", kAccessTyp = "at+jwt";

// What common/jose says of a token that it refuses.
Refusal refusal_of(const Error& error) {
  static constexpr std::array<std::pair<std::string_view, Refusal>, 10> kOf = {{
      {"token.alg", Refusal::kSubjectAlgorithm},
      {"token.key", Refusal::kSubjectKey},
      {"token.signature", Refusal::kSubjectSignature},
      {"token.typ", Refusal::kSubjectTyp},
      {"token.iss", Refusal::kSubjectIssuer},
      {"token.aud", Refusal::kSubjectAudience},
      {"token.exp", Refusal::kSubjectExpired},
      {"token.age", Refusal::kSubjectExpired},
      {"token.nbf", Refusal::kSubjectTime},
      {"token.iat", Refusal::kSubjectTime},
  }};
  for (const auto& [name, value] : error.context)
    if (name == "check")
      for (const auto& [check, refusal] : kOf)
        if (check == value) return refusal;
  return Refusal::kSubjectMalformed;
}

std::unexpected<TokenError> subject_refused(const Error& error) {
  return token_refused(refusal_of(error), "subject_token: " + error.message);
}

TimeMs date_of(const json::object& claims, std::string_view name, TimeMs missing) {
  const json::value* value = claims.if_contains(name);
  return value == nullptr ? missing : jose::numeric_date_ms(*value).value_or(missing);
}

TokenResult<> check_identifier(const json::object& claims, std::string_view name) {
  const std::string_view text = text_in(claims, name);
  if (!text.empty() && text.size() <= limits::kTxnIdentifierBytesMax) return {};
  return token_refused(Refusal::kSubjectClaims,
                       fmt::format("subject_token has no {} that is a text of 1 to {} bytes", name,
                                   limits::kTxnIdentifierBytesMax));
}

TokenResult<jose::Token> read_subject_token(const TokenForm& form) {
  auto token = jose::read_token(form.subject_token, limits::kTxnSubjectTokenBytesMax);
  if (!token) return subject_refused(token.error());
  return *std::move(token);
}

VerifiedSubject subject_of(const TokenForm& form, json::object claims) {
  VerifiedSubject subject;
  subject.type = form.subject_type;
  subject.token_id = feed::token_id(form.subject_token).hex();
  subject.expires_ms = date_of(claims, "exp", kNever);
  subject.claims = std::move(claims);
  return subject;
}

// Issuers write what they like: spaces and repetitions do not matter.
bool add_scopes(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const size_t end = text.find(' ');
    const std::string_view scope = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (scope.empty() || std::ranges::find(out, scope) != out.end()) continue;
    if (scope.size() > limits::kTxnSubjectScopeBytesMax ||
        out.size() == limits::kTxnSubjectScopesMax)
      return false;
    out.emplace_back(scope);
  }
  return true;
}

// --- tokens of issuers

// An issuer may have several entries, one for each audience.
TokenResult<const SubjectSource*> find_source(const SubjectRules& rules, SubjectType type,
                                              const json::object& claims) {
  const std::string_view issuer = text_in(claims, "iss");
  bool is_issuer = false, has_type = false;
  for (const SubjectSource& source : rules.sources) {
    if (source.issuer != issuer) continue;
    is_issuer = true;
    if (std::ranges::find(source.types, type) == source.types.end()) continue;
    has_type = true;
    if (has_audience(claims, source.audience)) return &source;
  }
  if (!is_issuer)
    return token_refused(Refusal::kSubjectIssuer,
                         "subject_token: its iss is not an issuer that is configured here");
  if (!has_type)
    return token_refused(
        Refusal::kSubjectType,
        fmt::format("subject_token: {} is not taken of this issuer", subject_type_name(type)));
  return token_refused(Refusal::kSubjectAudience,
                       "subject_token: its aud is not one that is configured for this issuer");
}

// typ that a token must have; empty: JWT or none. Where an issuer has both, the token's own says
// which it claims to be.
std::string typ_of(const SubjectSource& source, SubjectType type, const jose::Token& token) {
  if (type != SubjectType::kAccessToken) return {};
  const bool may_be_plain =
      std::ranges::find(source.access_typ, kPlainTyp) != source.access_typ.end();
  if (may_be_plain && (source.access_typ.size() == 1 || token.typ.empty() ||
                       equal_ignoring_case(token.typ, kPlainTyp)))
    return {};
  return std::string(kAccessTyp);
}

TokenResult<> check_kind(SubjectType type, bool says_typ, const json::object& claims) {
  if (type == SubjectType::kIdToken) return check_is_id_token(claims);
  if (type == SubjectType::kJwt) return check_is_no_event(claims);
  return type == SubjectType::kAccessToken && !says_typ ? check_is_access_token(claims)
                                                        : TokenResult<>();
}

TokenResult<VerifiedSubject> check_issued(const TokenForm& form, const SubjectRules& rules,
                                          const KeyLookup& keys, TimeMs now_ms) {
  NOTP_ASSIGN(jose::Token token, read_subject_token(form));
  NOTP_ASSIGN(const SubjectSource* source, find_source(rules, form.subject_type, token.claims));
  const auto set = keys(source->keys);
  if (!set)
    return token_refused(
        Refusal::kNoSubjectKeys,
        fmt::format("the keys of this issuer (data.keys.{}) are not here yet", source->keys));
  jose::TokenRules expected;
  expected.algorithms = source->algorithms;
  expected.typ = typ_of(*source, form.subject_type, token);
  expected.issuer = source->issuer;
  expected.audience = source->audience;
  expected.now_ms = now_ms;
  expected.leeway_ms = limits::kTxnSkewMs;
  if (auto checked = jose::check_token(token, *set, expected); !checked)
    return subject_refused(checked.error());
  NOTP_TRY(check_kind(form.subject_type, !expected.typ.empty(), token.claims));
  NOTP_TRY(check_identifier(token.claims, "sub"));
  VerifiedSubject subject = subject_of(form, std::move(token.claims));
  // Also a jwt: else a token that was revoked would be taken under that name.
  if (source->is_introspected && form.subject_type != SubjectType::kIdToken)
    subject.asks = static_cast<size_t>(source - rules.sources.data());
  if (form.subject_type != SubjectType::kIdToken) {
    if (auto scopes = scopes_of(subject.claims)) {
      subject.has_scope = true;
      subject.scopes = *std::move(scopes);
    }
  }
  return subject;
}

// Three parts: it says that it is a JWT, and has to be one.
bool is_jwt(std::string_view token) { return std::ranges::count(token, '.') == 2; }

// --- self-signed tokens

TokenResult<jose::KeySet> keys_of(const Client& client) {
  if (client.key)
    if (auto set = jose::KeySet::parse(
            json::object{{"keys", json::array{client.key->with_kid("").canonical()}}}))
      return *std::move(set);
  return token_refused(Refusal::kSubjectKey,
                       "the key of the client's certificate is not one that signs JWTs");
}

TokenResult<VerifiedSubject> check_self_signed(const TokenForm& form, const Client& client,
                                               const SubjectRules& rules, TimeMs now_ms) {
  NOTP_ASSIGN(jose::Token token, read_subject_token(form));
  NOTP_ASSIGN(const jose::KeySet keys, keys_of(client));
  token.kid.clear();  // whatever it calls its key: there is one
  jose::TokenRules expected;
  for (const jose::Algorithm algorithm : jose::all_algorithms())
    if (client.key->fits(algorithm)) expected.algorithms.push_back(algorithm);
  expected.issuer = client.identity;
  expected.audience = rules.issuer;
  expected.now_ms = now_ms;
  expected.leeway_ms = limits::kTxnSkewMs;
  expected.age_ms_max = limits::kTxnSelfSignedLifeMsMax;
  if (auto checked = jose::check_token(token, keys, expected); !checked)
    return subject_refused(checked.error());
  // RFC 7519 §4.1.3: "aud" of one is a string or an array.
  const json::value& aud = token.claims.at("aud");
  if (aud.is_array() && aud.get_array().size() != 1)
    return token_refused(Refusal::kSubjectAudience,
                         "subject_token: a self-signed token is for this service alone: aud must "
                         "be its issuer, and no other");
  const TimeMs life =
      date_of(token.claims, "exp", kNever) - date_of(token.claims, "iat", /*missing=*/0);
  if (life <= 0 || life > limits::kTxnSelfSignedLifeMsMax)
    return token_refused(Refusal::kSubjectTime,
                         fmt::format("subject_token: a self-signed token lives {} s at most",
                                     limits::kTxnSelfSignedLifeMsMax / 1'000));
  NOTP_TRY(check_identifier(token.claims, "sub"));
  NOTP_TRY(check_identifier(token.claims, "jti"));
  VerifiedSubject subject = subject_of(form, std::move(token.claims));
  subject.token_id.clear();
  subject.jti = text_in(subject.claims, "jti");
  return subject;
}

// --- the rest

TokenResult<VerifiedSubject> check_unsigned(const TokenForm& form) {
  auto parsed = parse_json(form.subject_token);
  if (!parsed || !parsed->is_object() || jose::is_deeper(*parsed, limits::kTxnContextDepthMax))
    return token_refused(Refusal::kSubjectMalformed,
                         fmt::format("subject_token is not a JSON object of at most {} levels",
                                     limits::kTxnContextDepthMax));
  if (holds_token(*parsed))
    return token_refused(Refusal::kTokenInDetails,
                         "subject_token holds a token: send that with its own type");
  json::object claims = std::move(parsed->get_object());
  NOTP_TRY(check_identifier(claims, "sub"));
  VerifiedSubject subject = subject_of(form, std::move(claims));
  subject.token_id.clear();
  subject.expires_ms = kNever;  // its members are not claims (draft-10, Unsigned JSON Object)
  return subject;
}

TokenResult<VerifiedSubject> check_txn_token(const TokenForm& form, const SubjectRules& rules,
                                             const KeyLookup& keys, TimeMs now_ms) {
  if (!rules.replacement)
    return token_refused(Refusal::kReplacementOff, "this service does not replace Txn-Tokens");
  NOTP_ASSIGN(jose::Token token, read_subject_token(form));
  const auto set = keys(rules.own_keys);
  if (!set)
    return token_refused(Refusal::kNoSubjectKeys, "the keys of this service are not here yet");
  if (token.kid.empty())
    return token_refused(Refusal::kSubjectKey, "subject_token: a Txn-Token has a kid");
  jose::TokenRules expected;
  const auto algorithms = jose::all_algorithms();  // the key names its own
  expected.algorithms.assign(algorithms.begin(), algorithms.end());
  expected.typ = kTxnTokenTyp;
  expected.issuer = rules.issuer;
  expected.audience = rules.audience;
  expected.now_ms = now_ms;
  expected.leeway_ms = limits::kTxnSkewMs;
  if (auto checked = jose::check_token(token, *set, expected); !checked)
    return subject_refused(checked.error());
  if (date_of(token.claims, "exp", 0) <= now_ms)
    return token_refused(Refusal::kSubjectExpired, "subject_token: the Txn-Token has expired");
  if (text_in(token.claims, "aud") != rules.audience)
    return token_refused(Refusal::kSubjectAudience, "subject_token: aud is the trust domain alone");
  for (const std::string_view name : {"sub", "txn", "req_wl"})
    NOTP_TRY(check_identifier(token.claims, name));
  auto scopes = scopes_of(token.claims);
  if (!scopes || date_of(token.claims, "iat", kNever) == kNever)
    return token_refused(Refusal::kSubjectClaims, "subject_token has no scope, or no iat");
  VerifiedSubject subject = subject_of(form, std::move(token.claims));
  subject.has_scope = true;
  subject.scopes = *std::move(scopes);
  return subject;
}

}  // namespace

std::optional<jose::PublicJwk> client_key(const EVP_PKEY* key) {
  const auto members = jose::public_members(key);
  if (!members) return std::nullopt;
  auto jwk = jose::PublicJwk::parse(*members);
  if (!jwk) return std::nullopt;
  return *std::move(jwk);
}

std::optional<std::vector<std::string>> scopes_of(const json::object& claims) {
  const json::value* scope = claims.if_contains("scope");
  if (scope == nullptr) scope = claims.if_contains("scp");
  if (scope == nullptr) return std::nullopt;
  std::vector<std::string> out;
  if (scope->is_string())
    return add_scopes(scope->get_string(), out) ? std::optional(std::move(out)) : std::nullopt;
  if (!scope->is_array()) return std::nullopt;
  for (const json::value& one : scope->get_array())
    if (!one.is_string() || std::string_view(one.get_string()).contains(' ') ||
        !add_scopes(one.get_string(), out))
      return std::nullopt;
  return out;
}

TokenResult<VerifiedSubject> check_subject(const TokenForm& form, const Client& client,
                                           const SubjectRules& rules, const KeyLookup& keys,
                                           TimeMs now_ms) {
  switch (form.subject_type) {
    case SubjectType::kAccessToken:
      if (is_jwt(form.subject_token)) return check_issued(form, rules, keys, now_ms);
      {
        VerifiedSubject opaque = subject_of(form, {});
        opaque.is_opaque = true;
        return opaque;
      }
    case SubjectType::kIdToken:
    case SubjectType::kJwt:
      return check_issued(form, rules, keys, now_ms);
    case SubjectType::kSelfSigned:
      return check_self_signed(form, client, rules, now_ms);
    case SubjectType::kUnsignedJson:
      return check_unsigned(form);
    case SubjectType::kTxnToken:
      return check_txn_token(form, rules, keys, now_ms);
  }
  return token_refused(Refusal::kInternal, "unknown type of subject token");
}

}  // namespace notp::txn
