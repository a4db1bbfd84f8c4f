#include "notp-client/txn/issue/grant_rules.hpp"

#include <algorithm>
#include <ranges>

#include "notp-client/txn/issue/members.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {
namespace {

// Whether `longer` is `shorter` and one more.
bool continues(const std::vector<std::string>& longer, const std::vector<std::string>& shorter) {
  return longer.size() == shorter.size() + 1 &&
         std::ranges::equal(shorter, longer | std::views::take(shorter.size()));
}

}  // namespace

TimeMs expiry_of(const json::object& claims) {
  const json::value* exp = claims.if_contains("exp");
  return exp != nullptr && exp->is_int64() ? exp->get_int64() * 1'000 : 0;
}

TokenResult<UseVerdict> check_use(const Grant& grant, const std::optional<EarlierUse>& earlier,
                                  const Hash& request, TimeMs now_ms) {
  if (earlier) {
    if (earlier->request != request)
      return token_refused(Refusal::kGrantRepeatDiffers,
                           "the jti of the self-signed token was used to ask for something else; "
                           "a new request needs a new one");
    if (now_ms >= earlier->used_ms + limits::kTxnGrantRepeatMs ||
        now_ms >= expiry_of(earlier->token.claims))
      return token_refused(Refusal::kGrantUsed,
                           "the answer to this request was given, too long ago to be repeated");
    return UseVerdict{earlier->token};
  }
  if (now_ms >= grant.not_after_ms)
    return token_refused(Refusal::kGrantExpired, "the grant has ended");
  if (grant.used >= grant.uses)
    return token_refused(Refusal::kGrantUsed, "the grant has been used");
  return UseVerdict{};
}

TokenResult<> check_passed_on(const Grant& parent, const Grant& child, std::string_view txn) {
  if (is_within(child.scopes, parent.scopes) && child.sub == parent.sub &&
      continues(child.txns, parent.txns) && child.parent_txn() == txn &&
      child.origin == parent.origin && child.not_after_ms <= parent.not_after_ms &&
      child.uses <= parent.uses && child.depth() <= limits::kTxnGrantDepthMax &&
      continues(child.chain, parent.chain))
    return {};
  return token_refused(Refusal::kInternal, "a grant that is passed on would be wider");
}

}  // namespace notp::txn
