// Signed tokens: JSON Web Signature in its compact form (RFC 7515 §7.1) with the claims of a JSON
// Web Token (RFC 7519). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/jose/key_set.hpp"

namespace notp::jose {

// A token that is well formed. Nothing in it has been verified.
struct Token {
  json::object header, claims;
  Algorithm algorithm = Algorithm::kEdDsa;
  std::string kid;      // empty: none
  std::string typ;      // as written; empty: none
  Bytes signing_input;  // header and claims, as they were signed
  Bytes signature;
};

// Reads a token. kLimit: longer than `bytes_max`, by default what a request can carry; kMessage:
// not three parts in base64url without padding, not JSON objects in UTF-8 with each name once,
// deeper than kJsonDepthMax; an alg that is not one of Algorithm, "none" among them; crit, b64 (RFC
// 7797), zip and enc, none of which is understood here (RFC 7515 §4.1.11); cty, a token inside a
// token; alg, kid, typ or a claim of RFC 7519 §4.1 of another type than theirs. Keys that a header
// carries or names (jwk, jku, x5c, x5u) are ignored (RFC 8725 §3.10). Errors repeat no value of a
// claim.
Result<Token> read_token(std::string_view compact, size_t bytes_max = kTokenBytesMax);

// What a token must be. Each rule is about a claim or a header parameter; an empty rule means that
// the token must not have it, so that a rule that was forgotten refuses (RFC 8725 §3.8, §3.9).
struct TokenRules {
  std::vector<Algorithm> algorithms;  // allowed; none: no token passes
  // The media type without "application/" (RFC 7515 §4.1.9), in any case; empty: absent or "JWT".
  std::string typ;
  std::string issuer;    // iss, byte for byte
  std::string audience;  // must be aud, or one of its array
  TimeMs now_ms = 0;     // wall time
  TimeMs leeway_ms = kLeewayMs;
  TimeMs age_ms_max = 0;  // since iat, which is then needed; 0: any age
  bool needs_expiry = true;
};

// Verifies the signature with a key of the set, then the claims. Context "check" of an error names
// the refusal:
//   token.alg, token.key (no key fits), token.signature: kSignature
//   token.typ, token.iss, token.aud:                     kWrongTarget
//   token.exp (passed or missing), token.age:            kExpired
//   token.nbf, token.iat (in the future, or missing):    kClock
Result<void> check_token(const Token& token, const KeySet& keys, const TokenRules& rules);
// The same without a signature, for tokens whose key is known otherwise.
Result<void> check_claims(const Token& token, const TokenRules& rules);

// Returns a NumericDate (RFC 7519 §2) in milliseconds, its fraction cut to them. kMessage: not a
// number, or outside of the years 1970 to 9999.
Result<TimeMs> numeric_date_ms(const json::value& date);

}  // namespace notp::jose
