#include "notp-client/txn/issue/introspection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "common/jose/json_depth.hpp"
#include "common/jose/token.hpp"
#include "notp-client/txn/issue/issuer_core.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/issue/token_kind.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

constexpr unsigned kOk = 200;
// What is checked; and what is there for the lane and the policy alone.
constexpr std::array<std::string_view, 11> kChecked = {
    "iss", "sub", "aud", "scope", "scp", "exp", "iat", "nbf", "token_type", "typ", "token_use"};
constexpr std::array<std::string_view, 7> kOthers = {"client_id", "jti", "sid",      "cnf",
                                                     "acr",       "amr", "auth_time"};
// RFC 6750, RFC 9449: those of access tokens. A provider may know refresh tokens by the same
// endpoint, which are never subject tokens.
constexpr std::array<std::string_view, 2> kAccessTypes = {"Bearer", "DPoP"};

std::unexpected<TokenError> no_answer(std::string description) {
  return token_refused(Refusal::kIntrospectionUnavailable, std::move(description));
}

std::unexpected<TokenError> unlike(Refusal refusal, std::string_view what) {
  return token_refused(refusal, fmt::format("subject_token: its issuer was asked, and {}", what));
}

TokenResult<> check_type(const Introspected& answer, bool is_opaque) {
  NOTP_TRY(check_says_access_token(answer.attributes));
  const json::value* type = answer.attributes.if_contains("token_type");
  // A JWT says itself what it is.
  if (type == nullptr && !is_opaque) return {};
  const std::string_view text = text_in(answer.attributes, "token_type");
  if (std::ranges::any_of(kAccessTypes,
                          [&](auto known) { return equal_ignoring_case(text, known); }))
    return {};
  return unlike(Refusal::kSubjectTyp, "does not call it an access token: token_type");
}

// `known`: claims that were verified, or what the lane says; empty: nothing is known yet.
TokenResult<> check_identity(const json::object& said, const json::object& known,
                             const SubjectSource& source) {
  if (said.contains("iss") && text_in(said, "iss") != source.issuer)
    return unlike(Refusal::kSubjectIssuer, "names another iss");
  const bool is_new = known.empty();
  if ((is_new || said.contains("aud")) && !has_audience(said, source.audience))
    return unlike(Refusal::kSubjectAudience, "names another aud");
  const std::string_view sub = text_in(said, "sub");
  if (is_new && (sub.empty() || sub.size() > limits::kTxnIdentifierBytesMax))
    return unlike(Refusal::kSubjectClaims, "names no sub");
  if (!is_new && said.contains("sub") && sub != text_in(known, "sub"))
    return unlike(Refusal::kSubjectClaims, "names another sub");
  return {};
}

// nullopt: there is none.
TokenResult<std::optional<TimeMs>> time_of(const json::object& said, std::string_view name) {
  const json::value* value = said.if_contains(name);
  if (value == nullptr) return std::nullopt;
  const auto time = jose::numeric_date_ms(*value);
  if (time) return *time;
  return no_answer(
      fmt::format("the answer of the issuer's introspection endpoint has a {} that is "
                  "not a time",
                  name));
}

TokenResult<> check_times(const json::object& said, bool needs_end, TimeMs now_ms) {
  NOTP_ASSIGN(const auto exp, time_of(said, "exp"));
  if (!exp && needs_end) return unlike(Refusal::kSubjectExpired, "does not say when it ends");
  if (exp && now_ms - limits::kTxnSkewMs >= *exp)
    return unlike(Refusal::kSubjectExpired, "says that it has expired");
  for (const std::string_view name : {"nbf", "iat"}) {
    NOTP_ASSIGN(const auto begin, time_of(said, name));
    if (begin && *begin > now_ms + limits::kTxnSkewMs)
      return unlike(Refusal::kSubjectTime, "says that it is not valid yet");
  }
  return {};
}

// Both the token and its issuer bound it. A scope that cannot be read may be narrower than any.
TokenResult<> narrow_scopes(const json::object& said, VerifiedSubject& subject) {
  for (const std::string_view name : {"scope", "scp"}) {
    const json::value* value = said.if_contains(name);
    if (value == nullptr) continue;
    auto scopes = scopes_of({{"scope", *value}});
    if (!scopes)
      return no_answer(
          fmt::format("the answer of the issuer's introspection endpoint has a {} that cannot be "
                      "read",
                      name));
    if (subject.has_scope)
      std::erase_if(*scopes, [&](const std::string& scope) {
        return std::ranges::find(subject.scopes, scope) == subject.scopes.end();
      });
    subject.has_scope = true;
    subject.scopes = *std::move(scopes);
  }
  return {};
}

}  // namespace

TokenResult<Introspected> read_introspection(unsigned status, std::string_view body) {
  if (status != kOk)
    return no_answer(fmt::format(
        "the introspection endpoint of the issuer answers {}; try again later", status));
  const auto parsed = jose::parse_shallow_json(body);
  const json::object* const answer = parsed ? parsed->if_object() : nullptr;
  const json::value* const active = answer ? answer->if_contains("active") : nullptr;
  if (active == nullptr || !active->is_bool())
    return no_answer(
        "the introspection endpoint of the issuer does not say whether the token is "
        "active");
  Introspected out{.is_active = active->get_bool(), .attributes = {}};
  if (!out.is_active) return out;
  for (const std::string_view name : kChecked)
    if (const json::value* value = answer->if_contains(name)) {
      // Without it a JWT would pass by what it says itself.
      if (holds_token(*value))
        return no_answer(fmt::format(
            "the answer of the issuer's introspection endpoint has a token in {}", name));
      out.attributes.emplace(name, *value);
    }
  for (const std::string_view name : kOthers)
    if (const json::value* value = answer->if_contains(name))
      if (!holds_token(*value)) out.attributes.emplace(name, *value);
  if (json::serialize(out.attributes).size() > limits::kTxnIntrospectedBytesMax)
    return no_answer(
        fmt::format("the answer of the issuer's introspection endpoint has more than "
                    "{} bytes",
                    limits::kTxnIntrospectedBytesMax));
  return out;
}

std::optional<IntrospectionQuestion> IssuerCore::introspection_question(
    const CheckedRequest& request) const {
  const VerifiedSubject& subject = request.subject;
  if (!subject.asks) return std::nullopt;
  return IntrospectionQuestion{*subject.asks, subject.token_id, subject.claims.empty()};
}

TokenResult<> IssuerCore::attach_introspection(CheckedRequest& request, const Introspected& answer,
                                               TimeMs now_ms) const {
  VerifiedSubject& subject = request.subject;
  if (!subject.asks) return {};
  const SubjectSource& source = rules_.sources.at(*subject.asks);
  if (!answer.is_active)
    return token_refused(Refusal::kSubjectInactive,
                         "subject_token: its issuer says that it is not active: it has expired, "
                         "was revoked, or is not known");
  const bool is_new = subject.claims.empty();
  NOTP_TRY(check_type(answer, subject.is_opaque));
  NOTP_TRY(check_identity(answer.attributes, subject.claims, source));
  NOTP_TRY(check_times(answer.attributes, is_new, now_ms));
  NOTP_TRY(narrow_scopes(answer.attributes, subject));
  if (is_new) {
    subject.claims = answer.attributes;
    subject.claims["iss"] = source.issuer;
  }
  if (subject.record.is_null()) subject.record = answer.attributes;
  subject.asks.reset();
  return {};
}

}  // namespace notp::txn
