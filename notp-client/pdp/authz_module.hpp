// The policy that makes an OPA with a token lane let in who may do what: data.system.authz, which
// OPA asks of each request with --authentication=token --authorization=basic
// (https://www.openpolicyagent.org/docs/security).
//
// Whoever may write data.tokens may let anybody in. With the agent's secret: read and write
// data.tokens. Without it: decisions below data, but for data.tokens and all of data at once; the
// default decision; /health, /metrics and /v1/status. Nothing else: no query, no policy, no other
// write.
#pragma once

#include <string>
#include <string_view>

#include "common/bytes.hpp"

namespace notp::pdp {

inline constexpr std::string_view kAuthzRoot = "system/authz";
inline constexpr std::string_view kAuthzModulePath = "system/authz/authz.rego";

// The secret towards OPA, from the one by which OPA knows the agent: who learns one, because it
// took the other one's port while that was down, does not know the other.
std::string opa_tokens_secret(std::string_view opa_secret);

// The module knows the secret's hash alone. Rego v1.
Bytes authz_module(std::string_view tokens_secret);

}  // namespace notp::pdp
