// The one-time token that a node joins with: where to go, whom to trust there, and a secret.
#pragma once

#include <string>
#include <string_view>

#include "common/crypto/digest.hpp"

namespace notp {

struct JoinToken {
  static constexpr size_t kSecretBytes = 32;

  std::string address;       // "host:port" of the enrolment
  std::string registry;      // "host:port" of sessions
  std::string trust_domain;  // of the node and of the registry
  Hash authority;            // SHA-256 of the DER of the CA that the registry's chain ends in
  Bytes secret;              // kSecretBytes; the registry keeps its hash alone

  // "notp-join-1." and base64 in the alphabet of RFC 4648 §5, with a checksum: a token is copied by
  // people.
  std::string encode() const;
  // kUsage says what is wrong with it, never the secret.
  static Result<JoinToken> decode(std::string_view text);

  // What travels in Join: the secret alone, in hexadecimal.
  std::string proof() const { return to_hex(secret); }
};

}  // namespace notp
