#include "notp-client/txn/issue/issuer_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "notp-client/txn/issue/grant_rules.hpp"
#include "notp-client/txn/issue/issued.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/issue/policy_answer.hpp"
#include "notp-client/txn/issue/wishes.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::txn {
namespace {

TokenResult<> check_client(const TokenForm& form, const Client& client, const SubjectRules& rules) {
  const auto id = model::SpiffeId::parse(client.identity);
  if (!id || id->trust_domain != rules.trust_domain)
    return token_refused(
        Refusal::kNotAWorkload,
        fmt::format("the certificate is not that of a workload of {}", rules.trust_domain));
  if (!rules.takes_assertions &&
      !(form.client_assertion.empty() && form.client_assertion_type.empty()))
    return token_refused(Refusal::kOtherAuthentication,
                         "a client is authenticated by its certificate; send no client_assertion");
  if (form.client_id.empty() || form.client_id == client.identity) return {};
  return token_refused(Refusal::kOtherClient,
                       "client_id is not the identity of the certificate; it may be left out");
}

// Whether two requests ask for the same.
Hash hash_of(const TokenForm& form) {
  const auto add = [](Sha256& hash, std::string_view text) {
    hash.update(fmt::format("{}:", text.size())).update(text);
  };
  const auto object = [](const std::optional<json::object>& members) {
    return members ? json::serialize(*members) : std::string("-");
  };
  Sha256 hash;
  add(hash, join_scopes(form.scopes));
  add(hash, object(form.request_context));
  add(hash, object(form.request_details));
  return hash.finish();
}

TokenResult<> check_redeem(const CheckedRequest& request) {
  if (!request.redeem) return {};
  if (request.subject.type != SubjectType::kSelfSigned)
    return token_refused(Refusal::kGrantSubject,
                         "a grant is redeemed with a self-signed subject token");
  if (text_in(request.subject.claims, "sub") != request.client)
    return token_refused(Refusal::kGrantSubject,
                         "who redeems a grant speaks for itself: sub of the self-signed token must "
                         "be its iss");
  return {};
}

TokenResult<> check_replacement(const CheckedRequest& request, TimeMs now_ms) {
  if (request.subject.type != SubjectType::kTxnToken) return {};
  if (!is_within(request.form.scopes, request.subject.scopes))
    return token_refused(Refusal::kReplacementScope,
                         "a Txn-Token is not replaced by one with more scope");
  const Replaced replaced = replaced_of(request.subject.claims);
  if (replaced.times >= limits::kTxnReplacementsMax)
    return token_refused(
        Refusal::kReplacedTooOften,
        fmt::format("a Txn-Token is replaced {} times at most", limits::kTxnReplacementsMax));
  if (now_ms >= replaced.first_iat_s * 1'000 + limits::kTxnReplacedLifeMsMax)
    return token_refused(Refusal::kReplacementTime, "its first token was issued too long ago");
  if (request.delegate)
    return token_refused(Refusal::kBadDelegate,
                         "a grant comes with a new Txn-Token, not with one that is replaced");
  return {};
}

TokenResult<> check_depth(const DelegateWish& wish, const Grant& grant) {
  if (grant.depth() >= limits::kTxnGrantDepthMax)
    return token_refused(
        Refusal::kGrantDepth,
        fmt::format("a grant is passed on by {} workloads at most", limits::kTxnGrantDepthMax));
  if (wish.not_after_ms > grant.not_after_ms || wish.uses > grant.uses)
    return token_refused(Refusal::kBadDelegate,
                         "request_details.delegate: what is passed on cannot last longer, nor be "
                         "used more often, than the grant that is redeemed");
  return {};
}

TokenResult<> check_grant(const CheckedRequest& request, const Grant& grant,
                          const std::string& trust_domain) {
  const auto to = model::SpiffePattern::parse(grant.to, trust_domain);
  if (!to || !to->covers(request.client))
    return token_refused(Refusal::kGrantNotForClient, "the grant is not for this workload");
  if (grant.digest != request.redeem->digest)
    return token_refused(Refusal::kGrantDigest,
                         grant.digest
                             ? "request_details.digest is not that of the message that the grant "
                               "was made for"
                             : "the grant was made for no message: leave request_details.digest "
                               "out, and distrust the message");
  if (!is_within(request.form.scopes, grant.scopes))
    return token_refused(Refusal::kGrantScope, "scope has a name that the grant does not have");
  return request.delegate ? check_depth(*request.delegate, grant) : TokenResult<>();
}

bool takes(const SubjectSource& source, SubjectType type) {
  return std::ranges::find(source.types, type) != source.types.end();
}

// An opaque token is what the lane knows of it, or its issuer.
TokenResult<> take_record(VerifiedSubject& subject, const SubjectRules& rules,
                          const LaneFinding& finding) {
  const auto begin = rules.sources.begin(), end = rules.sources.end();
  if (!finding.record) {
    const auto source = std::ranges::find_if(rules.sources, [&](const SubjectSource& each) {
      return each.has_opaque && takes(each, subject.type);
    });
    if (source == end)
      return token_refused(Refusal::kSubjectUnknown,
                           "subject_token is not a JWT, and nothing is known of it here");
    subject.asks = static_cast<size_t>(source - begin);
    return {};
  }
  subject.claims = *finding.record;
  const std::string_view issuer = text_in(subject.claims, "iss");
  const auto source = std::ranges::find_if(rules.sources, [&](const SubjectSource& each) {
    return each.issuer == issuer && has_audience(subject.claims, each.audience) &&
           takes(each, subject.type);
  });
  if (source != end && source->is_introspected) subject.asks = static_cast<size_t>(source - begin);
  if (source == end)
    return token_refused(Refusal::kSubjectIssuer,
                         "subject_token: the iss and aud that are known of it are not those of an "
                         "issuer whose access tokens are taken here");
  if (text_in(subject.claims, "sub").empty())
    return token_refused(Refusal::kSubjectClaims, "subject_token: no sub is known of it");
  return {};
}

TokenResult<> check_finding(const LaneFinding& finding) {
  if (finding.state == LaneFinding::State::kRevoked)
    return token_refused(Refusal::kSubjectRevoked,
                         "the subject token, its subject or session has been revoked");
  if (finding.state == LaneFinding::State::kStale)
    return token_refused(Refusal::kLaneStale,
                         "whether the subject token is revoked is not known here: the token lane "
                         "is stale; try again later");
  return {};
}

// Claims may have tokens in them (OpenID Connect Core 1.0 §5.6.2). Neither a policy nor a record of
// its decision gets them.
json::object leave_tokens_out(json::object claims) {
  std::vector<std::string> names;
  for (const json::key_value_pair& member : claims)
    if (holds_token(member.value()) || holds_token(json::value(member.key())))
      names.emplace_back(member.key());
  for (const std::string& name : names) claims.stable_erase(name);
  return claims;
}

json::value object_or_null(const std::optional<json::object>& members) {
  return members ? json::value(*members) : json::value();
}

json::value describe_grant(const std::optional<Grant>& grant) {
  if (!grant) return nullptr;
  return {{"id", grant->id},
          {"parent_txn", grant->parent_txn()},
          {"root_txn", grant->root_txn()},
          {"sub", grant->sub},
          {"scope", json_texts(grant->scopes)},
          {"to", grant->to},
          {"origin", grant->origin},
          {"chain", json_texts(grant->chain)},
          {"depth", grant->depth()},
          {"not_after", grant->not_after_ms / 1'000}};
}

TokenResult<> check_scope_known(const CheckedRequest& request) {
  const SubjectType type = request.subject.type;
  if (request.subject.has_scope || request.grant ||
      (type != SubjectType::kAccessToken && type != SubjectType::kJwt))
    return {};
  return token_refused(Refusal::kSubjectScope,
                       "the scope of subject_token is not known: it has no claim scope");
}

}  // namespace

std::string Issued::grant_id() const {
  if (grant) return grant->id;
  return use && use->passed_on ? use->passed_on->id : std::string();
}

TokenResult<CheckedRequest> IssuerCore::check(TokenForm form, const Client& client,
                                              const KeyLookup& keys, TimeMs now_ms) const {
  NOTP_TRY(check_client(form, client, rules_));
  if (form.audience != rules_.audience)
    return token_refused(Refusal::kAudience, fmt::format("audience must be {}", rules_.audience));
  CheckedRequest request;
  NOTP_ASSIGN(request.subject, check_subject(form, client, rules_, keys, now_ms));
  NOTP_ASSIGN(Wishes wishes, read_wishes(form, rules_.trust_domain, now_ms));
  request.client = client.identity;
  request.delegate = std::move(wishes.delegate);
  request.redeem = std::move(wishes.redeem);
  request.request = hash_of(form);
  request.form = std::move(form);
  NOTP_TRY(check_redeem(request));
  NOTP_TRY(check_replacement(request, now_ms));
  if (!request.subject.jti.empty())
    request.jti_use = JtiUse{request.client, request.subject.jti,
                             request.redeem ? request.redeem->grant_id : std::string(),
                             request.subject.expires_ms + limits::kTxnSkewMs};
  return request;
}

TokenResult<> IssuerCore::attach_grant(CheckedRequest& request, std::optional<GrantFinding> found,
                                       TimeMs now_ms) const {
  if (!request.redeem) return {};
  if (!found || found->grant.id != request.redeem->grant_id)
    return token_refused(Refusal::kGrantUnknown,
                         "no such grant: it has ended, was revoked, or was made by another "
                         "instance of this service");
  NOTP_TRY(check_grant(request, found->grant, rules_.trust_domain));
  NOTP_ASSIGN(UseVerdict verdict, check_use(found->grant, found->earlier, request.request, now_ms));
  request.grant = std::move(found->grant);
  request.repeated = std::move(verdict.repeated);
  return {};
}

std::vector<LaneQuestion> IssuerCore::lane_questions(const CheckedRequest& request) const {
  std::vector<LaneQuestion> out;
  if (request.grant) {
    const Grant& grant = *request.grant;
    if (!grant.subject.empty()) out.push_back({grant.subject_id, grant.subject});
    const int64_t made_s = grant.made_ms / 1'000;
    // Whichever of the tokens by which it came is revoked, the grant ends. When the last one was
    // issued is known; of those before any mark counts.
    for (const std::string& txn : grant.txns)
      out.push_back({"", {{"iss", rules_.issuer}, {"txn", txn}}});
    out.back().claims["sub"] = grant.sub;
    out.back().claims["iat"] = made_s;
    return out;
  }
  if (!request.subject.token_id.empty())
    out.push_back({request.subject.token_id, request.subject.claims});
  return out;
}

TokenResult<> IssuerCore::attach_lane(CheckedRequest& request,
                                      std::vector<LaneFinding> findings) const {
  const std::vector<LaneQuestion> questions = lane_questions(request);
  if (findings.size() != questions.size())
    return token_refused(Refusal::kInternal, "the lane was not asked all that it has to be");
  for (const LaneFinding& finding : findings) NOTP_TRY(check_finding(finding));
  VerifiedSubject& subject = request.subject;
  if (request.grant || findings.empty()) return {};
  const LaneFinding& finding = findings.front();
  if (subject.is_opaque && subject.claims.empty()) NOTP_TRY(take_record(subject, rules_, finding));
  if (!finding.record) return {};
  subject.record = *finding.record;
  // What the issuer told the lane is another trusted source, when the token does not say it.
  const bool may_have_scope =
      subject.type == SubjectType::kAccessToken || subject.type == SubjectType::kJwt;
  if (subject.has_scope || !may_have_scope) return {};
  if (auto scopes = scopes_of(*finding.record)) {
    subject.has_scope = true;
    subject.scopes = *std::move(scopes);
  }
  return {};
}

TokenResult<PolicyAsk> IssuerCore::ask(CheckedRequest request, std::string txn,
                                       TimeMs now_ms) const {
  if (request.subject.is_opaque && request.subject.claims.empty() && !request.subject.asks)
    return token_refused(Refusal::kSubjectUnknown,
                         "subject_token is not a JWT, and nothing is known of it here");
  if (request.subject.asks)
    return token_refused(Refusal::kInternal, "the issuer of the subject token was not asked");
  NOTP_TRY(check_scope_known(request));
  PolicyAsk ask;
  ask.txn = std::move(txn);
  if (request.subject.type == SubjectType::kTxnToken)
    ask.txn = text_in(request.subject.claims, "txn");
  request.subject.claims = leave_tokens_out(std::move(request.subject.claims));
  ask.input = {
      {"client", request.client},
      {"subject",
       {{"type", subject_type_name(request.subject.type)},
        {"claims", request.subject.claims},
        {"record", request.subject.record}}},
      {"request",
       {{"scope", json_texts(request.form.scopes)},
        {"context", object_or_null(request.form.request_context)},
        {"details", object_or_null(request.form.request_details)}}},
      {"grant", describe_grant(request.grant)},
      {"txn", ask.txn},
      {"now", now_ms / 1'000},
  };
  ask.request = std::move(request);
  return ask;
}

TokenResult<Issued> IssuerCore::finish(const PolicyAsk& ask,
                                       const Result<std::optional<json::value>>& answer,
                                       const RandomBytes& random, TimeMs now_ms) const {
  const CheckedRequest& request = ask.request;
  NOTP_ASSIGN(const PolicyAnswer granted, read_policy_answer(request, answer));
  Issued issued;
  NOTP_ASSIGN(issued.claims, make_claims(rules_, ask, granted, now_ms));
  std::optional<Grant> made;
  if (granted.delegate) {
    const Bytes number = random(limits::kTxnGrantIdBytes);
    if (number.size() != limits::kTxnGrantIdBytes)
      return token_refused(Refusal::kInternal, "no random number can be had for a grant");
    NOTP_ASSIGN(made, make_grant(ask, granted, number, now_ms));
  }
  if (!request.grant) {
    issued.grant = std::move(made);
    return issued;
  }
  if (made) NOTP_TRY(check_passed_on(*request.grant, *made, ask.txn));
  issued.use = GrantUse{request.grant->id, request.client, request.subject.jti, request.request,
                        ask.txn,           issued.claims,  std::move(made)};
  return issued;
}

}  // namespace notp::txn
