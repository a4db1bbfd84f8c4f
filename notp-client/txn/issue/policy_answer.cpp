#include "notp-client/txn/issue/policy_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/jose/json_depth.hpp"
#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/issue/wishes.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

// RFC 7519 §4.1 and the draft's claims; then those of a chain, which the code writes.
constexpr std::array<std::string_view, 20> kReserved = {
    "iss",        "sub",      "aud",    "exp",   "nbf",      "iat",      "jti",
    "txn",        "scope",    "req_wl", "tctx",  "rctx",     "cnf",      "act",
    "parent_txn", "root_txn", "origin", "chain", "replaced", "grant_exp"};

std::unexpected<TokenError> broken(std::string why) {
  return token_refused(Refusal::kPolicyBroken, "the issuance policy: " + std::move(why));
}

bool is_true(const json::object& members, std::string_view name) {
  const json::value* value = members.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// The subject that may not change: of a grant, or of a Txn-Token that is replaced.
std::string_view bound_subject(const CheckedRequest& request) {
  if (request.grant) return request.grant->sub;
  if (request.subject.type == SubjectType::kTxnToken) return text_in(request.subject.claims, "sub");
  return {};
}

TokenResult<> check_allowed(const CheckedRequest& request, const json::object& answer) {
  const json::value* allow = answer.if_contains("allow");
  if (allow != nullptr && !allow->is_bool()) return broken("allow is not true or false");
  if (!is_true(answer, "allow")) {
    const std::string reason = printable(text_in(answer, "reason"), limits::kTxnReasonBytesMax);
    return token_refused(Refusal::kPolicyDenied,
                         reason.empty() ? "the policy does not let this workload ask for it"
                                        : "the policy refuses: " + reason);
  }
  if (request.subject.type == SubjectType::kUnsignedJson && !is_true(answer, "unsigned_json"))
    return token_refused(Refusal::kPolicyDenied,
                         "the policy does not believe unsigned JSON of this workload");
  return {};
}

TokenResult<std::string> read_sub(const CheckedRequest& request, const json::object& answer) {
  const std::string_view bound = bound_subject(request);
  const json::value* sub = answer.if_contains("sub");
  if (sub == nullptr && !bound.empty()) return std::string(bound);
  if (sub == nullptr || !sub->is_string()) return broken("sub is not text");
  const std::string_view text = sub->get_string();
  if (!bound.empty() && text != bound) return broken("sub is not that of the origin");
  if (text.empty() || text.size() > limits::kTxnIdentifierBytesMax)
    return broken(fmt::format("sub must have 1 to {} bytes", limits::kTxnIdentifierBytesMax));
  if (std::ranges::any_of(text, [](unsigned char c) { return c < ' ' || c == 0x7F; }))
    return broken("sub has a control character");
  return std::string(text);
}

TokenResult<std::vector<std::string>> read_granted(const CheckedRequest& request,
                                                   const json::object& answer) {
  const json::value* scope = answer.if_contains("scope");
  if (scope == nullptr || !scope->is_array()) return broken("scope is not a list");
  std::vector<std::string> out;
  // In the order of the request, so that equal requests get equal tokens.
  for (const json::value& one : scope->get_array()) {
    const std::string_view name = one.is_string() ? std::string_view(one.get_string()) : "";
    if (std::ranges::find(request.form.scopes, name) == request.form.scopes.end())
      return broken("scope has a name that was not requested");
    if (std::ranges::find(out, name) != out.end()) return broken("scope has a name twice");
    out.emplace_back(name);
  }
  if (out.empty())
    return token_refused(Refusal::kNoScopeLeft, "the policy grants none of the scopes requested");
  std::ranges::sort(out, {}, [&request](const std::string& name) {
    return std::ranges::find(request.form.scopes, name) - request.form.scopes.begin();
  });
  return out;
}

// Whether the scopes of this subject are the model's to say (draft-10, Unknown subject_token scope:
// "another trusted source").
bool has_entitlements(SubjectType type) {
  return type == SubjectType::kIdToken || type == SubjectType::kSelfSigned ||
         type == SubjectType::kUnsignedJson;
}

bool covers(const json::value& entry, std::string_view scope, const VerifiedSubject& subject) {
  if (!entry.is_object() || text_in(entry.get_object(), "scope") != scope) return false;
  if (has_entitlements(subject.type)) return !text_in(entry.get_object(), "entitlement").empty();
  const std::string_view by = text_in(entry.get_object(), "by");
  return std::ranges::find(subject.scopes, by) != subject.scopes.end();
}

TokenResult<> check_covers(const CheckedRequest& request, const json::object& answer,
                           const std::vector<std::string>& scopes) {
  // Their scope is a bound by itself, which attach_grant() and check() have kept.
  if (request.grant || request.subject.type == SubjectType::kTxnToken) return {};
  const json::value* entries = answer.if_contains("covers");
  if (entries == nullptr || !entries->is_array()) return broken("covers is not a list");
  for (const std::string& scope : scopes)
    if (std::ranges::none_of(entries->get_array(), [&](const json::value& entry) {
          return covers(entry, scope, request.subject);
        }))
      return broken(fmt::format("scope {} is covered by nothing that the subject has", scope));
  return {};
}

TokenResult<json::object> read_context(const CheckedRequest& request, const json::object& answer,
                                       std::string_view name) {
  const json::value* context = answer.if_contains(name);
  if (context == nullptr) return json::object();
  if (!context->is_object()) return broken(fmt::format("{} is not an object", name));
  if (jose::is_deeper(*context, limits::kTxnContextDepthMax))
    return broken(fmt::format("{} has more than {} levels", name, limits::kTxnContextDepthMax));
  for (const json::key_value_pair& member : context->get_object())
    if (is_reserved_member(member.key()))
      return broken(fmt::format("{} has the reserved name {}", name, printable(member.key(), 40)));
  const bool is_secret = request.subject.type != SubjectType::kUnsignedJson;
  if (holds_token(*context, is_secret ? std::string_view(request.form.subject_token) : ""))
    return broken(fmt::format("{} holds a token", name));
  return context->get_object();
}

TokenResult<TimeMs> read_life(const json::object& answer) {
  const json::value* life = answer.if_contains("lifetime_s");
  if (life == nullptr) return limits::kTxnLifeMs;
  // Rego has one kind of number.
  const double seconds = life->is_number() ? life->to_number<double>() : 0;
  if (seconds < 1 || seconds > static_cast<double>(limits::kTxnLifeMsMax / 1'000) ||
      seconds != std::floor(seconds))
    return broken(fmt::format("lifetime_s must be a whole number from 1 to {}",
                              limits::kTxnLifeMsMax / 1'000));
  return static_cast<TimeMs>(seconds) * 1'000;
}

TokenResult<std::optional<DelegateWish>> read_delegate(const CheckedRequest& request,
                                                       const json::object& answer,
                                                       const std::vector<std::string>& scopes) {
  if (!request.delegate) return std::optional<DelegateWish>();
  const json::value* granted = answer.if_contains("delegate");
  if (granted == nullptr || (granted->is_bool() && !granted->get_bool()))
    return token_refused(Refusal::kDelegationDenied,
                         "the policy does not let this workload delegate it");
  NOTP_ASSIGN(DelegateWish wish, narrow_wish(*request.delegate, *granted));
  for (const std::string& scope : wish.scopes)
    if (std::ranges::find(scopes, scope) == scopes.end())
      return token_refused(Refusal::kDelegationDenied,
                           "request_details.delegate: the policy grants less scope than is to be "
                           "delegated");
  return std::optional(std::move(wish));
}

}  // namespace

bool is_reserved_member(std::string_view name) {
  return std::ranges::find(kReserved, name) != kReserved.end();
}

TokenResult<PolicyAnswer> read_policy_answer(const CheckedRequest& request,
                                             const Result<std::optional<json::value>>& answer) {
  if (!answer)
    return token_refused(Refusal::kPolicyUnavailable,
                         "the issuance policy cannot be asked now; try again later");
  if (!*answer)
    return token_refused(Refusal::kPolicyDenied,
                         "the policy does not let this workload ask: its answer is undefined");
  if (!(*answer)->is_object()) return broken("its answer is not an object");
  const json::object& members = (*answer)->get_object();
  NOTP_TRY(check_allowed(request, members));
  PolicyAnswer out;
  NOTP_ASSIGN(out.sub, read_sub(request, members));
  NOTP_ASSIGN(out.scopes, read_granted(request, members));
  NOTP_TRY(check_covers(request, members, out.scopes));
  NOTP_ASSIGN(out.tctx, read_context(request, members, "tctx"));
  NOTP_ASSIGN(out.rctx, read_context(request, members, "rctx"));
  NOTP_ASSIGN(out.life_ms, read_life(members));
  NOTP_ASSIGN(out.delegate, read_delegate(request, members, out.scopes));
  return out;
}

}  // namespace notp::txn
