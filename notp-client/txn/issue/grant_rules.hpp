// Whether a grant can be used now. Pure: decides for the request and, again, for every store at the
// moment that the use is marked.
#pragma once

#include <optional>
#include <string_view>

#include "notp-client/txn/issue/grant.hpp"
#include "notp-client/txn/issue/token_error.hpp"

namespace notp::txn {

// What a grant is used for: a new token, or the one given before.
struct UseVerdict {
  std::optional<GrantedToken> repeated;
};

// `earlier`: the use by this peer with this jti, if the store remembers one. kGrantUsed: no use is
// left, or the repetition comes too late; kGrantExpired; kGrantRepeatDiffers: the same jti, and
// another request.
TokenResult<UseVerdict> check_use(const Grant& grant, const std::optional<EarlierUse>& earlier,
                                  const Hash& request, TimeMs now_ms);

// Whether `child` may be passed on by a use of `parent` that issued a token with `txn`: nothing of
// it is wider. kInternal: a core that made it so has a bug.
TokenResult<> check_passed_on(const Grant& parent, const Grant& child, std::string_view txn);

}  // namespace notp::txn
