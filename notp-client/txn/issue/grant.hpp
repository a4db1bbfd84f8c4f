// A grant: the right of one workload to get a Txn-Token later, on behalf of the subject of another
// one, made while that one was issued. Its number is no secret: only `to` can redeem it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/json/json.hpp"

namespace notp::txn {

struct Grant {
  std::string id;  // kTxnGrantIdBytes in base64url
  // Of the tokens by which it came, in order: from the first one, which had a subject token, to the
  // one with which it was made. One for each workload of `chain`, so never empty.
  std::vector<std::string> txns;
  std::string sub;
  std::vector<std::string> scopes;
  std::string to;      // SPIFFE pattern
  std::string origin;  // SPIFFE id of the workload that asked for the first token
  // The workloads by which it came, in order: from the origin to the one that made this grant. Its
  // size is the depth: 1 to kTxnGrantDepthMax.
  std::vector<std::string> chain;
  TimeMs made_ms = 0, not_after_ms = 0;  // trusted time
  unsigned uses = 1, used = 0;
  std::optional<Hash> digest;  // of the message that carries its number
  // Of the first subject token, for the lane: iss, sub, sid, jti, iat, status. Never a token.
  json::object subject;
  std::string subject_id;  // feed::token_id() of that token in hexadecimal; empty: none

  const std::string& root_txn() const { return txns.front(); }
  const std::string& parent_txn() const { return txns.back(); }
  const std::string& made_by() const { return chain.back(); }
  unsigned depth() const { return static_cast<unsigned>(chain.size()); }
};

// When a Txn-Token with these claims ends, Unix time; 0: they say nothing of it.
TimeMs expiry_of(const json::object& claims);

// The answer to a use.
struct GrantedToken {
  json::object claims;
  std::string grant_id;  // passed on with it; empty: none
};

// One use. The grant is marked before the token is given out.
struct GrantUse {
  std::string grant_id;
  std::string peer;  // SPIFFE id of the client
  std::string jti;   // of its self-signed subject token
  Hash request;      // of what it asks for, so that a repeat is one
  std::string txn;   // of the token that is issued
  // Of that token. Given again to the same peer for the same jti and request for kTxnGrantRepeatMs.
  json::object claims;
  std::optional<Grant> passed_on;  // made in the same step
};

// An earlier use of a grant by the same peer with the same jti.
struct EarlierUse {
  Hash request;
  TimeMs used_ms = 0;
  GrantedToken token;
};

// The members of request_details by which grants are made and redeemed.
struct DelegateWish {  // request_details.delegate
  std::string to;      // SPIFFE pattern of the trust domain
  std::vector<std::string> scopes;
  TimeMs not_after_ms = 0;     // "not_after", NumericDate
  unsigned uses = 1;           // "uses"
  std::optional<Hash> digest;  // "digest": SHA-256 in base64url
};
struct RedeemWish {  // request_details.grant
  std::string grant_id;
  std::optional<Hash> digest;  // request_details.digest: of the message as it arrived
};

}  // namespace notp::txn
