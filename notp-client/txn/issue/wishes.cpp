#include "notp-client/txn/issue/wishes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/base64url.hpp"
#include "common/jose/token.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::txn {
namespace {

std::unexpected<TokenError> bad_delegate(std::string why) {
  return token_refused(Refusal::kBadDelegate, "request_details.delegate: " + std::move(why));
}

TokenResult<std::optional<Hash>> read_digest(const json::object& members, Refusal refusal) {
  const json::value* digest = members.if_contains("digest");
  if (digest == nullptr) return std::optional<Hash>();
  if (digest->is_string())
    if (const auto bytes = from_base64url(digest->get_string()))
      if (const auto hash = Hash::from_bytes(*bytes); hash && !hash->is_zero())
        return std::optional(*hash);
  return token_refused(refusal, "digest must be a SHA-256 in base64url: 43 characters");
}

TokenResult<unsigned> read_uses(const json::object& members, Refusal refusal) {
  const json::value* uses = members.if_contains("uses");
  if (uses == nullptr) return 1U;
  if (uses->is_int64() && uses->get_int64() >= 1 && uses->get_int64() <= limits::kTxnGrantUsesMax)
    return static_cast<unsigned>(uses->get_int64());
  return token_refused(refusal, fmt::format("uses must be 1 to {}", limits::kTxnGrantUsesMax));
}

TokenResult<TimeMs> read_not_after(const json::object& members, TimeMs now_ms) {
  const json::value* date = members.if_contains("not_after");
  const auto not_after_ms =
      date == nullptr ? fail(ErrorCode::kMessage, "") : jose::numeric_date_ms(*date);
  if (!not_after_ms) return bad_delegate("not_after must be a time in Unix seconds");
  if (*not_after_ms <= now_ms) return bad_delegate("not_after has passed");
  if (*not_after_ms > now_ms + limits::kTxnGrantLifeMsMax + limits::kTxnSkewMs)
    return bad_delegate(fmt::format("not_after is more than {} days away",
                                    limits::kTxnGrantLifeMsMax / (24 * 3600 * 1000)));
  return std::min(*not_after_ms, now_ms + limits::kTxnGrantLifeMsMax);
}

TokenResult<DelegateWish> read_delegate(const json::value& value, const TokenForm& form,
                                        const std::string& trust_domain, TimeMs now_ms) {
  static constexpr std::array<std::string_view, 5> kMembers = {"to", "scope", "not_after", "uses",
                                                               "digest"};
  if (!value.is_object()) return bad_delegate("must be an object");
  const json::object& members = value.get_object();
  for (const json::key_value_pair& member : members)
    if (std::ranges::find(kMembers, std::string_view(member.key())) == kMembers.end())
      return bad_delegate(fmt::format("unknown member {}", printable(member.key(), 60)));
  DelegateWish wish;
  const json::value* to = members.if_contains("to");
  if (to == nullptr || !to->is_string()) return bad_delegate("to must be a SPIFFE id or pattern");
  const auto pattern = model::SpiffePattern::parse(to->get_string(), trust_domain);
  if (!pattern) return bad_delegate("to: " + pattern.error().message);
  wish.to = pattern->text();
  const json::value* scope = members.if_contains("scope");
  if (scope == nullptr || !scope->is_string())
    return bad_delegate("scope must be text, as the parameter scope is");
  NOTP_ASSIGN(wish.scopes, read_scopes(scope->get_string()));
  for (const std::string& one : wish.scopes)
    if (std::ranges::find(form.scopes, one) == form.scopes.end())
      return token_refused(Refusal::kGrantScope,
                           "request_details.delegate: scope has a name that the request does not "
                           "ask for");
  NOTP_ASSIGN(wish.not_after_ms, read_not_after(members, now_ms));
  NOTP_ASSIGN(wish.uses, read_uses(members, Refusal::kBadDelegate));
  NOTP_ASSIGN(wish.digest, read_digest(members, Refusal::kBadDelegate));
  return wish;
}

TokenResult<RedeemWish> read_redeem(const json::value& grant, const json::object& details) {
  RedeemWish wish;
  const auto id = grant.is_string() ? from_base64url(grant.get_string())
                                    : fail(ErrorCode::kMessage, "not text");
  if (!id || id->size() != limits::kTxnGrantIdBytes)
    return token_refused(Refusal::kBadDetails,
                         "request_details.grant must be the number that the service has given");
  wish.grant_id = grant.get_string();
  NOTP_ASSIGN(wish.digest, read_digest(details, Refusal::kBadDetails));
  return wish;
}

TokenResult<> narrow_scopes(DelegateWish& wish, const json::value& scopes) {
  if (!scopes.is_array() || scopes.get_array().empty())
    return token_refused(Refusal::kPolicyBroken, "delegate.scope of the policy is not a list");
  std::vector<std::string> out;
  for (const json::value& scope : scopes.get_array()) {
    const bool is_asked =
        scope.is_string() &&
        std::ranges::find(wish.scopes, std::string_view(scope.get_string())) != wish.scopes.end();
    if (!is_asked)
      return token_refused(Refusal::kPolicyBroken,
                           "delegate.scope of the policy has more than was asked for");
    out.emplace_back(scope.get_string());
  }
  std::ranges::sort(out);
  const auto repeated = std::ranges::unique(out);
  out.erase(repeated.begin(), repeated.end());
  wish.scopes = std::move(out);
  return {};
}

}  // namespace

TokenResult<Wishes> read_wishes(const TokenForm& form, const std::string& trust_domain,
                                TimeMs now_ms) {
  Wishes out;
  if (!form.request_details) return out;
  const json::object& details = *form.request_details;
  if (const json::value* delegate = details.if_contains("delegate")) {
    NOTP_ASSIGN(out.delegate, read_delegate(*delegate, form, trust_domain, now_ms));
  }
  if (const json::value* grant = details.if_contains("grant")) {
    NOTP_ASSIGN(out.redeem, read_redeem(*grant, details));
  }
  return out;
}

TokenResult<DelegateWish> narrow_wish(const DelegateWish& wish, const json::value& granted) {
  if (granted.is_bool() && granted.get_bool()) return wish;
  if (!granted.is_object())
    return token_refused(Refusal::kPolicyBroken, "delegate of the policy is no object, nor true");
  DelegateWish out = wish;
  const json::object& members = granted.get_object();
  if (const json::value* scope = members.if_contains("scope")) NOTP_TRY(narrow_scopes(out, *scope));
  if (const json::value* date = members.if_contains("not_after")) {
    const auto not_after_ms = jose::numeric_date_ms(*date);
    if (!not_after_ms || *not_after_ms > wish.not_after_ms)
      return token_refused(Refusal::kPolicyBroken,
                           "delegate.not_after of the policy is no time, or later than asked for");
    out.not_after_ms = *not_after_ms;
  }
  if (members.contains("uses")) {
    NOTP_ASSIGN(out.uses, read_uses(members, Refusal::kPolicyBroken));
    if (out.uses > wish.uses)
      return token_refused(Refusal::kPolicyBroken,
                           "delegate.uses of the policy is more than was asked for");
  }
  return out;
}

}  // namespace notp::txn
