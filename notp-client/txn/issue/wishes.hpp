// The members of request_details by which grants are made and redeemed: an extension of the
// Txn-Token request, which leaves the content of request_details to the service.
//   delegate  {to, scope, not_after, uses?, digest?}: make a grant
//   grant     its number: redeem it; with digest, that of the message in which the number arrived
#pragma once

#include <optional>
#include <string>

#include "notp-client/txn/issue/grant.hpp"
#include "notp-client/txn/issue/token_form.hpp"

namespace notp::txn {

struct Wishes {
  std::optional<DelegateWish> delegate;
  std::optional<RedeemWish> redeem;
};

// kBadDelegate: an unknown member among others, since one that is misspelt would not bind;
// kGrantScope: scopes that the form does not ask for; kBadDetails.
TokenResult<Wishes> read_wishes(const TokenForm& form, const std::string& trust_domain,
                                TimeMs now_ms);

// Of the policy's answer: what of a wish is granted. true, or an object with scope (array),
// not_after and uses; kPolicyBroken for more than was asked for, and for another form.
TokenResult<DelegateWish> narrow_wish(const DelegateWish& wish, const json::value& granted);

}  // namespace notp::txn
