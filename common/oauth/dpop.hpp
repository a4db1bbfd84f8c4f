// Proofs of possession for access tokens (RFC 9449). Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/http/message.hpp"
#include "common/jose/signing_key.hpp"
#include "common/random.hpp"

namespace notp::oauth {

// One request that a proof is for.
struct ProofTarget {
  std::string_view method;
  std::string_view url;           // query and fragment are left out of the proof (§4.2)
  std::string_view access_token;  // empty: for the token endpoint, which gives one
  std::string_view nonce;         // the server's last one; empty: it gave none
};

// Makes the value of the DPoP header (§4.2). kInternal.
Result<std::string> dpop_proof(const jose::SigningKey& key, const ProofTarget& target,
                               TimeMs wall_ms, Random& random);

// Returns the nonce of a response (§8, §9); empty when there is none, or one that is too long or
// has characters that RFC 9449 §8.1 does not allow.
std::string nonce_of(const http::Response& response);
// Whether a server refuses a request only for its nonce: by a body with this error at a token
// endpoint (§8), by a challenge at a resource (§9).
bool wants_nonce(const http::Response& response);

// Returns an identifier of 128 bits: a jti.
std::string random_id(Random& random);

}  // namespace notp::oauth
