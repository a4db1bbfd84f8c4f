// The answer of the issuance policy. The code, not the policy, keeps the invariants. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "notp-client/txn/issue/issuer_core.hpp"

namespace notp::txn {

// An answer that breaks nothing.
struct PolicyAnswer {
  std::string sub;
  std::vector<std::string> scopes;  // not empty, all of them requested and covered
  json::object tctx, rctx;
  TimeMs life_ms = 0;
  std::optional<DelegateWish> delegate;  // what is granted of the wish
};

// As IssuerCore::finish() says.
TokenResult<PolicyAnswer> read_policy_answer(const CheckedRequest& request,
                                             const Result<std::optional<json::value>>& answer);

// Names that tctx gets from the code alone, or that a claim has: a policy may set none of them.
bool is_reserved_member(std::string_view name);

}  // namespace notp::txn
