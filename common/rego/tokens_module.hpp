// The policy package system.notp.tokens, by which models look tokens up: one for each kind of
// engine, with equal answers. A node without a token lane has it too.
//
//   lookup(token)  the record of a token that lives: an object with those of iss, sub, client,
//                  scope, aud, exp, iat, acr, amr, auth_time, sid and cnf that are known. Undefined
//                  when the token is unknown, has expired or is revoked, when its subject or
//                  session is revoked up to its iat, or when the lane is stale and its terms deny.
//   revoked(x)     of the claims of a verified JWT: whether its subject (sub), session (sid),
//   number
//                  (jti) or transaction (txn) is revoked up to its iat, or its reference to a
//                  status list (draft-ietf-oauth-status-list §6) is anything but VALID in a list
//                  that the lane has. Of a token: whether that very token is revoked. True as long
//                  as the lane was never complete, or is stale and its terms deny.
//   lane           {"name", "mode", "revision", "state", "age_s"}; no age_s: never heard.
#pragma once

#include <string_view>

#include "common/rego/check.hpp"
#include "common/rego/snapshot.hpp"

namespace notp::rego {

inline constexpr std::string_view kTokensPackage = "system.notp.tokens";
// In a snapshot and in a bundle. No model owns data.system.notp.
inline constexpr std::string_view kTokensModulePath = "system/notp/tokens.rego";
// In a check: no model has such a path (model::is_used_path).
inline constexpr std::string_view kTokensCheckPath = "notp:system/notp/tokens.rego";

// The module for the worker: it calls built-in functions that only the worker has, and that exist
// for this module alone.
std::string_view worker_tokens_module();
// The module for an OPA, over the document at data.tokens that the agent writes there. `proof` is
// the hash of that document's member "proof": without it, no token lives and all is revoked.
Bytes opa_tokens_module(const Hash& proof);
// The same for an OPA of a node without a lane, whatever is at data.tokens there.
std::string_view opa_tokens_module_without_lane();

// Adds the worker's module, and what it may call. Call it once, when all else is there.
void add_tokens_module(CheckRequest& request);
void add_tokens_module(Snapshot& snapshot);

}  // namespace notp::rego
