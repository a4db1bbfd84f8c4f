#include "notp-client/txn/issue/token_answer.hpp"

#include <algorithm>

#include "common/base64url.hpp"
#include "notp-client/txn/issue/token_form.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

TokenResult<std::string> sign_txn_token(const json::object& claims, const std::string& kid,
                                        const jose::SigningKey& key) {
  auto token = jose::sign_token({{"typ", kTxnTokenTyp}, {"kid", kid}}, claims, key);
  if (!token)
    return token_refused(Refusal::kNoKey, "the token cannot be signed now; try again later");
  if (token->size() > limits::kTxnTokenBytesMax)
    return token_refused(Refusal::kPolicyBroken, "the token would be too large for a header");
  return *std::move(token);
}

json::object token_document(std::string token, const json::object& claims, std::string grant_id,
                            TimeMs now_ms) {
  const json::value* exp = claims.if_contains("exp");
  const int64_t exp_s = exp != nullptr && exp->is_int64() ? exp->get_int64() : 0;
  json::object out = {{"access_token", std::move(token)},
                      {"issued_token_type", kTxnTokenType},
                      {"token_type", "N_A"},
                      {"expires_in", std::max<int64_t>(exp_s - now_ms / 1'000, 0)}};
  if (const json::value* scope = claims.if_contains("scope")) out["scope"] = *scope;
  if (!grant_id.empty()) out["grant"] = std::move(grant_id);
  return out;
}

std::string token_hash(std::string_view token) { return to_base64url(sha256(token).view()); }

}  // namespace notp::txn
