// The form of a Txn-Token request (draft-ietf-oauth-transaction-tokens-10, Txn-Token Request;
// RFC 8693 §2.1; RFC 6749 §3.2). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"
#include "notp-client/txn/issue/token_error.hpp"

namespace notp::txn {

inline constexpr std::string_view kTokenExchange =
    "urn:ietf:params:oauth:grant-type:token-exchange";
inline constexpr std::string_view kTxnTokenType = "urn:ietf:params:oauth:token-type:txn_token";

enum class SubjectType : uint8_t {
  kAccessToken,   // urn:ietf:params:oauth:token-type:access_token: a JWT or opaque
  kIdToken,       // …:id_token
  kJwt,           // …:jwt
  kSelfSigned,    // …:self_signed: by the client's certificate key
  kUnsignedJson,  // …:unsigned_json
  kTxnToken,      // …:txn_token: replacement
};
// "access_token", "id_token", "jwt", "self_signed", "unsigned_json", "txn_token": as in the
// policy's input and the configuration.
std::string_view subject_type_name(SubjectType type);
std::optional<SubjectType> subject_type_of(std::string_view name);

// What a workload asks for. Nothing in it has been verified.
struct TokenForm {
  std::string audience;
  std::vector<std::string> scopes;  // in their order, each once
  std::string subject_token;
  SubjectType subject_type = SubjectType::kAccessToken;
  std::string client_id;  // empty: none
  // Of RFC 7521 §4.2; empty: none. Not verified here: client_assertion.hpp.
  std::string client_assertion, client_assertion_type;
  std::optional<json::object> request_context, request_details;
};

// Reads a body of at most kTxnFormBytesMax. A parameter without a value counts as omitted; one that
// is not known is ignored, but repeated it is refused, as any is (RFC 6749 §3.2). Refused: another
// content type or charset, percent-encoding or UTF-8 that is broken, control characters; what the
// limits of txn_limits.hpp exclude; another grant_type or requested_token_type, a
// subject_token_type that is unknown or refresh_token; resource, actor_token and client_secret;
// request_context and request_details that are not
// JSON objects, or in which something looks like a signed token.
TokenResult<TokenForm> read_form(std::string_view content_type, std::string_view body);

// Reads space-delimited scopes (RFC 6749 §3.3): 1 to kTxnScopesMax, each once. kBadScope.
TokenResult<std::vector<std::string>> read_scopes(std::string_view text);
std::string join_scopes(const std::vector<std::string>& scopes);

// Whether a string in it, or a name, holds what looks like a JWS or JWE in compact form: parts in
// base64url joined by dots, of which the first is JSON with "alg"; or `token`, when not empty.
bool holds_token(const json::value& value, std::string_view token = {});

}  // namespace notp::txn
