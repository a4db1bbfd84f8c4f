// Verifies a transaction token as the policies of this node do (common/rego/txn_module.hpp), for
// what the agent itself says of it: the same verdict, from another implementation. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/jose/key_set.hpp"
#include "common/jose/token.hpp"
#include "common/rego/txn_module.hpp"

namespace notp::txn {

inline constexpr std::string_view kTxnCheckedTyp = "txntoken+jwt";

// What a record and a count need of a token that was verified.
struct TxnToken {
  std::string txn, sub, req_wl;
  TimeMs exp_ms = 0;
};

// Whether a token is valid at `now_ms`, by the wall clock; what a lane revokes is not looked at.
// Context "check" of an error names the refusal, as in jose::check_token(), and:
//   token.kid      the set has no key of that kid
//   token.form     not plain: two readers could see two tokens
//   token.claims   a claim of the draft is missing or of another type
//   token.life     issued for longer than kTxnLifeS
Result<TxnToken> check_txn_token(std::string_view compact, const jose::KeySet& keys,
                                 const rego::TxnRules& rules, TimeMs now_ms);

// Its kid and issuer, of a token that nothing vouches for; empty texts: none.
struct TxnSigner {
  std::string issuer, kid;
};
TxnSigner signer_of(std::string_view compact);

}  // namespace notp::txn
