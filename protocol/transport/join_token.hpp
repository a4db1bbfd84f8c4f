// The one-time token with which a node joins: addresses, the trusted authority, and a secret.
#pragma once

#include <string>
#include <string_view>

#include "common/crypto/digest.hpp"

namespace notp::transport {

struct JoinToken {
  static constexpr size_t kSecretBytes = 32;

  std::string address;       // "host:port" for enrolment
  std::string registry;      // "host:port" for sessions
  std::string trust_domain;  // of the node and of the registry
  Hash authority;            // SHA-256 of the DER of the CA that the registry's chain ends in
  Bytes secret;              // kSecretBytes; the registry keeps only its hash

  // Encodes "notp-join-1." and base64 in the alphabet of RFC 4648 §5, with a checksum, because
  // people copy tokens.
  std::string encode() const;
  // kUsage names the mistake, never the secret.
  static Result<JoinToken> decode(std::string_view text);

  // Returns the proof for Join: the secret only, in hexadecimal.
  std::string proof() const { return to_hex(secret); }
};

}  // namespace notp::transport
