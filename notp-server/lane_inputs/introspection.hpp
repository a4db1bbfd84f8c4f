// Answers of introspection endpoints (RFC 7662, signed ones RFC 9701). Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/message.hpp"
#include "common/jose/token.hpp"

namespace notp::lane_inputs {

struct IntrospectionRules {
  std::string issuer;  // of the tokens: `iss`, if an answer has one
  // RFC 9701: the answer must be signed by the issuer for this audience. Empty: it is plain JSON.
  std::string signed_for;
  std::shared_ptr<const jose::KeySet> keys;  // of the issuer, for signed answers; null: none yet
  TimeMs now_ms = 0;                         // wall time
};

// Returns the attributes of a living token, of the members that a lane may carry; nullopt: it does
// not live (RFC 7662 §2.2: unknown, revoked, expired or not this client's to ask for).
//
// An answer that says neither is no reason to delete a token. kDenied: the endpoint refuses the
// client (401, 403); kUnavailable: status 429 or 5xx, or keys for a signed answer are not there.
// Refused, refuse(), behind "introspection.": unsupported-token (the endpoint does not introspect
// this kind of token, RFC 7009 §2.2.1), status (any other), not-json, not-an-object, no-active,
// iss, exp, inactive-yet (nbf); for signed answers not-a-token and the checks of jose::check_token.
// Errors repeat no token.
Result<std::optional<json::object>> read_introspection(const http::Response& response,
                                                       const IntrospectionRules& rules);

// The media type to ask for.
std::string_view introspection_type(bool is_signed);

}  // namespace notp::lane_inputs
