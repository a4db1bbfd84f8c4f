// The policy package system.notp.txn, by which models verify transaction tokens
// (draft-ietf-oauth-transaction-tokens-10 §9): one text over io.jwt for both kinds of engine. A
// node that verifies none has it too.
//
//   verify(token)   the claims of a token that is valid now; else undefined. Valid is: a signature
//                   of the key of its kid in data.keys.<keys>, with an alg of ES256, ES384, ES512
//                   and EdDSA that is the key's; typ "txntoken+jwt"; no crit, b64, enc, zip or cty;
//                   aud exactly the trust domain; iat, exp, txn, sub, scope and req_wl there and of
//                   their types, tctx and rctx objects if they are there; issued at most
//                   kTxnAheadS ahead, for at most kTxnLifeS, and not expired; not revoked by the
//                   node's lane, if it has one (system.notp.tokens.revoked). Strict in what JSON
//                   and base64url are, as common/jose is. `iss` is optional, and not compared.
//   state(token)    "verified", "unknown_key" (its kid is not in the set: the service may sign with
//                   a key that this node does not have yet), "refused", or "off"
//   keys            {"name", "ledger", "version", "state", "age_s"} of the release that has the
//                   keys, as in data.system.notp.ledgers; no age_s: never heard of; no release:
//                   "ledger" is empty, "version" 0 and "state" "unknown"
//   presented(claims)  how many decisions of the same path have seen the claims' txn at this node,
//                   before this one: of tokens at the places that the agent's configuration names.
//                   Undefined elsewhere, and in an OPA.
#pragma once

#include <string>
#include <string_view>

#include "common/rego/check.hpp"
#include "common/rego/snapshot.hpp"
#include "common/rego/txn_rules.hpp"

namespace notp::rego {

// In a snapshot and in a bundle. No model owns data.system.notp.
inline constexpr std::string_view kTxnModulePath = "system/notp/txn.rego";
// In a check: no model has such a path (model::is_used_path).
inline constexpr std::string_view kTxnCheckPath = "notp:system/notp/txn.rego";

inline constexpr size_t kTxnTokenBytesMax = 8 << 10;  // fits a header
inline constexpr int64_t kTxnLifeS = 600;             // exp - iat
inline constexpr int64_t kTxnAheadS = 30;             // iat, of clocks that differ
// A number with more digits in its exponent refuses the token: readers differ in what it is.
inline constexpr size_t kTxnExponentDigitsMax = 3;

// The module for the worker: it calls built-in functions that exist for it alone. They remember the
// tokens that were verified, and are strict about JSON; what is verified is the same text. Tokens
// of the form that the service issues the worker takes without evaluating it (worker/README.md).
Bytes worker_txn_module(const TxnRules& rules);
Bytes opa_txn_module(const TxnRules& rules);
// Of a node that verifies none, and of a check of a model: all is undefined, or "off".
std::string_view txn_module_without_rules();

// Adds the module without rules. Call it once, when all else is there.
void add_txn_module(CheckRequest& request);
// Adds the worker's module, and what it may call; null: the one without rules.
void add_txn_module(Snapshot& snapshot, const TxnRules* rules);

}  // namespace notp::rego
