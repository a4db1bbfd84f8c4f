// The answer to a Txn-Token request (draft-ietf-oauth-transaction-tokens-10, Txn-Token Response;
// RFC 8693 §2.2.1).
#pragma once

#include <string>
#include <string_view>

#include "common/jose/signing_key.hpp"
#include "notp-client/txn/issue/token_error.hpp"

namespace notp::txn {

inline constexpr std::string_view kTxnTokenTyp = "txntoken+jwt";

// Signs claims; the header is {alg, typ, kid}. kNoKey: it cannot be signed; kPolicyBroken: longer
// than kTxnTokenBytesMax.
TokenResult<std::string> sign_txn_token(const json::object& claims, const std::string& kid,
                                        const jose::SigningKey& key);

// access_token, issued_token_type, token_type "N_A", expires_in, scope, and `grant` if one was
// made. Never a refresh_token. `now_ms`: a repeated answer's token has less time left.
json::object token_document(std::string token, const json::object& claims, std::string grant_id,
                            TimeMs now_ms);

// The SHA-256 of a token in base64url, by which logs and records name it.
std::string token_hash(std::string_view token);

}  // namespace notp::txn
