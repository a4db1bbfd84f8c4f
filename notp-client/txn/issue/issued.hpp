// Makes the claims of a Txn-Token, and the grant that comes with it, from a policy's answer. Pure.
#pragma once

#include "notp-client/txn/issue/issuer_core.hpp"
#include "notp-client/txn/issue/policy_answer.hpp"

namespace notp::txn {

// kGrantExpired, kReplacementTime: no second of life is left; kPolicyBroken: the claims are larger
// than kTxnClaimsBytesMax, or an addition to a replaced token would change it.
TokenResult<json::object> make_claims(const SubjectRules& rules, const PolicyAsk& ask,
                                      const PolicyAnswer& answer, TimeMs now_ms);

// The grant for PolicyAnswer::delegate. `number`: kTxnGrantIdBytes, random. kGrantExpired: it would
// have ended already; kSubjectClaims: what has to be kept of the subject token is larger than
// kTxnGrantSubjectBytesMax.
TokenResult<Grant> make_grant(const PolicyAsk& ask, const PolicyAnswer& answer, ByteView number,
                              TimeMs now_ms);

// How often a Txn-Token was replaced, and when the first of them was issued.
struct Replaced {
  unsigned times = 0;
  int64_t first_iat_s = 0;
};
Replaced replaced_of(const json::object& claims);

}  // namespace notp::txn
