#include "notp-client/txn/issue/issued.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/base64url.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

const json::object* object_in(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

int64_t number_in(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

// Members of a token that is replaced stay; the policy may add.
TokenResult<json::object> add_members(json::object kept, const json::object& added) {
  for (const json::key_value_pair& member : added) {
    const json::value* before = kept.if_contains(member.key());
    if (before != nullptr && *before != member.value())
      return token_refused(Refusal::kPolicyBroken,
                           "the issuance policy changes a member of the token that is replaced");
    kept[member.key()] = member.value();
  }
  return kept;
}

json::object context_in(const CheckedRequest& request, std::string_view name) {
  if (request.subject.type != SubjectType::kTxnToken) return {};
  const json::object* context = object_in(request.subject.claims, name);
  return context == nullptr ? json::object() : *context;
}

void write_chain(json::object& tctx, const PolicyAsk& ask) {
  const CheckedRequest& request = ask.request;
  if (request.grant) {
    tctx["parent_txn"] = request.grant->parent_txn();
    tctx["root_txn"] = request.grant->root_txn();
    tctx["origin"] = request.grant->origin;
    tctx["chain"] = json_texts(request.grant->chain);
    tctx["grant_exp"] = request.grant->not_after_ms / 1'000;
  } else if (request.subject.type == SubjectType::kTxnToken) {
    const json::object& old = request.subject.claims;
    const json::value* chain = tctx.if_contains("chain");
    json::array workloads =
        chain != nullptr && chain->is_array() ? chain->get_array() : json::array();
    workloads.emplace_back(text_in(old, "req_wl"));
    const Replaced replaced = replaced_of(old);
    tctx["chain"] = std::move(workloads);
    tctx["replaced"] = {{"times", replaced.times + 1}, {"first_iat", replaced.first_iat_s}};
  }
}

// When the grant ends by which a token came that is replaced; nullopt: by none.
std::optional<int64_t> grant_end_s(const json::object& claims) {
  const json::object* tctx = object_in(claims, "tctx");
  if (tctx == nullptr || !tctx->contains("grant_exp")) return std::nullopt;
  return number_in(*tctx, "grant_exp");
}

// No token outlives its grant, nor the ten minutes that replacement may add.
TokenResult<int64_t> expiry_s(const CheckedRequest& request, const PolicyAnswer& answer,
                              int64_t iat_s) {
  int64_t exp_s = iat_s + answer.life_ms / 1'000;
  if (request.grant) exp_s = std::min(exp_s, request.grant->not_after_ms / 1'000);
  if (request.subject.type == SubjectType::kTxnToken)
    exp_s = std::min(
        {exp_s, grant_end_s(request.subject.claims).value_or(exp_s),
         replaced_of(request.subject.claims).first_iat_s + limits::kTxnReplacedLifeMsMax / 1'000});
  if (exp_s > iat_s) return exp_s;
  return token_refused(request.grant ? Refusal::kGrantExpired : Refusal::kReplacementTime,
                       "no time is left for another token");
}

// The claims by which a lane knows a subject. Nothing else of its token is kept.
json::object lane_claims(const json::object& claims) {
  json::object out;
  for (const std::string_view name : {"iss", "sub", "sid", "jti", "iat", "status"})
    if (const json::value* value = claims.if_contains(name)) out[name] = *value;
  return out;
}

bool is_token_of_issuer(SubjectType type) {
  return type == SubjectType::kAccessToken || type == SubjectType::kIdToken ||
         type == SubjectType::kJwt;
}

TokenResult<> describe_subject(const VerifiedSubject& subject, Grant& grant) {
  if (!is_token_of_issuer(subject.type)) return {};
  grant.subject = lane_claims(subject.claims);
  grant.subject_id = subject.token_id;
  if (json::serialize(grant.subject).size() <= limits::kTxnGrantSubjectBytesMax) return {};
  return token_refused(Refusal::kSubjectClaims,
                       fmt::format("subject_token: iss, sub, sid, jti and status have more than {} "
                                   "bytes, which a grant cannot keep",
                                   limits::kTxnGrantSubjectBytesMax));
}

}  // namespace

Replaced replaced_of(const json::object& claims) {
  Replaced out{0, number_in(claims, "iat")};
  const json::object* tctx = object_in(claims, "tctx");
  const json::object* replaced = tctx == nullptr ? nullptr : object_in(*tctx, "replaced");
  if (replaced == nullptr) return out;
  return {static_cast<unsigned>(number_in(*replaced, "times")), number_in(*replaced, "first_iat")};
}

TokenResult<json::object> make_claims(const SubjectRules& rules, const PolicyAsk& ask,
                                      const PolicyAnswer& answer, TimeMs now_ms) {
  const CheckedRequest& request = ask.request;
  const int64_t iat_s = now_ms / 1'000;
  NOTP_ASSIGN(const int64_t exp_s, expiry_s(request, answer, iat_s));
  NOTP_ASSIGN(json::object tctx, add_members(context_in(request, "tctx"), answer.tctx));
  NOTP_ASSIGN(json::object rctx, add_members(context_in(request, "rctx"), answer.rctx));
  write_chain(tctx, ask);
  json::object claims;
  if (!rules.issuer.empty()) claims["iss"] = rules.issuer;
  claims["iat"] = iat_s;
  claims["exp"] = exp_s;
  claims["aud"] = rules.audience;
  claims["txn"] = ask.txn;
  claims["sub"] = answer.sub;
  claims["scope"] = join_scopes(answer.scopes);
  claims["req_wl"] = request.client;
  if (!tctx.empty()) claims["tctx"] = std::move(tctx);
  if (!rctx.empty()) claims["rctx"] = std::move(rctx);
  if (json::serialize(claims).size() <= limits::kTxnClaimsBytesMax) return claims;
  return token_refused(Refusal::kPolicyBroken,
                       fmt::format("the issuance policy: the token would have more than {} bytes",
                                   limits::kTxnClaimsBytesMax));
}

TokenResult<Grant> make_grant(const PolicyAsk& ask, const PolicyAnswer& answer, ByteView number,
                              TimeMs now_ms) {
  const CheckedRequest& request = ask.request;
  const DelegateWish& wish = *answer.delegate;
  if (wish.not_after_ms <= now_ms)
    return token_refused(Refusal::kGrantExpired,
                         "request_details.delegate: the grant would have ended already");
  Grant grant;
  if (request.grant) {  // passed on
    grant.txns = request.grant->txns;
    grant.origin = request.grant->origin;
    grant.chain = request.grant->chain;
    grant.subject = request.grant->subject;
    grant.subject_id = request.grant->subject_id;
  } else {
    grant.origin = request.client;
    NOTP_TRY(describe_subject(request.subject, grant));
  }
  grant.id = to_base64url(number);
  grant.txns.push_back(ask.txn);
  grant.sub = answer.sub;
  grant.scopes = wish.scopes;
  grant.to = wish.to;
  grant.chain.push_back(request.client);
  grant.made_ms = now_ms;
  grant.not_after_ms = wish.not_after_ms;
  grant.uses = wish.uses;
  grant.digest = wish.digest;
  return grant;
}

}  // namespace notp::txn
