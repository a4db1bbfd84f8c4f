// Verifies the subject token of a request (draft-ietf-oauth-transaction-tokens-10, Subject Token
// Types). Pure, thread-safe: no state.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/crypto/x509.hpp"
#include "common/jose/token.hpp"
#include "notp-client/txn/issue/grant.hpp"
#include "notp-client/txn/issue/token_form.hpp"

namespace notp::txn {

// The workload that asks, as TLS has verified it.
struct Client {
  std::string identity;  // SPIFFE URI of its certificate
  // The key of its certificate, for self-signed subject tokens; nullopt: not one that signs JWTs.
  std::optional<jose::PublicJwk> key;
};
// Of a certificate's public key. nullopt for a key that PublicJwk refuses.
std::optional<jose::PublicJwk> client_key(const EVP_PKEY* key);

// An issuer whose tokens may be subject tokens.
struct SubjectSource {
  std::string issuer;              // iss, byte for byte
  std::string keys;                // the name of its key set: data.keys.<keys>
  std::string audience;            // must be aud, or one of its array
  std::vector<SubjectType> types;  // of kAccessToken, kIdToken, kJwt
  std::vector<jose::Algorithm> algorithms;
  // typ that its access tokens may have: "at+jwt" (RFC 9068 §2.1), and "JWT", as for the others:
  // typ is absent or JWT. Those are told from ID tokens by their claims: check_is_access_token().
  std::vector<std::string> access_typ = {"at+jwt"};
  // Its introspection endpoint is asked about each access token and jwt.
  bool is_introspected = false;
  // Opaque tokens of which the lane knows nothing are its own: it alone may see them.
  bool has_opaque = false;
};

struct SubjectRules {
  std::string trust_domain;
  std::string audience;  // aud of Txn-Tokens: the form's audience
  std::string issuer;    // of the service: iss of Txn-Tokens, aud of self-signed tokens
  std::string own_keys;  // the name of the key set that verifies Txn-Tokens, for replacement
  bool replacement = false;
  bool takes_assertions = false;  // clients may authenticate by one
  std::vector<SubjectSource> sources;
};

// The key set that data.keys.<name> has now; null: none. It is called within check_subject().
using KeyLookup = std::function<std::shared_ptr<const jose::KeySet>(const std::string& name)>;

struct VerifiedSubject {
  SubjectType type = SubjectType::kAccessToken;
  json::object claims;  // empty for an opaque token, until its record is known
  std::string
      token_id;  // feed::token_id() in hexadecimal; empty: none (self_signed, unsigned_json)
  bool is_opaque = false;
  bool has_scope = false;           // its scope is known
  std::vector<std::string> scopes;  // empty with has_scope: it may do nothing
  TimeMs expires_ms = kNever;
  std::string jti;     // of self_signed, which must have one
  json::value record;  // of the lane, else of introspection; null: none
  // The source (of SubjectRules) whose introspection endpoint has to be asked.
  std::optional<size_t> asks;
};

// Verifies everything but what a lane knows: form, algorithm, key, signature, typ, iss, aud, exp,
// iat, nbf, sub. `now_ms`: trusted wall time. An access token that is not a JWT is opaque: its
// claims come with its record. A self-signed token is signed by the client's key, has the client as
// iss, the service's issuer as aud, a jti, and lives kTxnSelfSignedLifeMsMax at most. A Txn-Token
// must not have expired by any clock: no leeway.
TokenResult<VerifiedSubject> check_subject(const TokenForm& form, const Client& client,
                                           const SubjectRules& rules, const KeyLookup& keys,
                                           TimeMs now_ms);

// Scopes of claims: "scope" (RFC 9068 §2.2.3), else "scp" as an array or text. nullopt: none, or
// malformed.
std::optional<std::vector<std::string>> scopes_of(const json::object& claims);

// What the lane is asked about before a token is issued. Each must be good.
struct LaneQuestion {
  std::string token_id;  // hexadecimal; empty: not about a token
  json::object claims;   // iss, sub, sid, jti, txn, iat, status
};
struct LaneFinding {
  enum class State : uint8_t {
    kNoLane,  // nothing was asked: this node follows none
    kGood,    // not revoked as far as the lane knows
    kRevoked,
    kStale,  // the lane is too old to say
  };
  State state = State::kNoLane;
  std::optional<json::object> record;  // of the token, if the lane has one
};

}  // namespace notp::txn
