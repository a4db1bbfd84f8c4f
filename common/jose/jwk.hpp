// Public keys in JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/jose/algorithm.hpp"
#include "common/json/json.hpp"

namespace notp::jose {

// Returns the name of the first private member of a key ("d", "p", …; "k" for a shared secret);
// empty when there is none. A provider that publishes one has lost its key.
std::string_view private_member_of(const json::object& key);

// A public key. Immutable, cheap to copy, thread-safe.
class PublicJwk {
 public:
  // kMessage, which says what is wrong and never repeats a private value. Refused: kty other than
  // RSA, EC and OKP; a private member; RSA keys outside of kRsaBitsMin to kRsaBitsMax, with an even
  // exponent or one outside of kRsaExponentMin to kRsaExponentMax; curves other than P-256, P-384,
  // P-521, Ed25519 and Ed448; a point that is not on its curve or has a small order; numbers that
  // are not in shortest or full form (RFC 7518 §6.2.1.2, §6.3.1); an alg that is not one of this
  // kty and crv; use, key_ops (RFC 7517 §4.2, §4.3) and kid that are malformed, contradict each
  // other or are too long. Other members are ignored, whatever they are.
  static Result<PublicJwk> parse(const json::object& members);

  const std::string& kid() const;  // empty: none
  const std::string& kty() const;
  const std::string& crv() const;  // empty for RSA
  // Its "alg"; nullopt when there is none, or one for other purposes than signatures.
  std::optional<Algorithm> algorithm() const;
  // Whether signatures may be verified with it: use is absent or "sig", key_ops absent or with
  // "verify", alg absent or one of Algorithm.
  bool is_for_signatures() const;
  // Whether it is for signatures, of this algorithm.
  bool fits(Algorithm algorithm) const;

  // Returns the same key under another kid, of at most kKidBytesMax bytes: an own one, not a
  // peer's.
  PublicJwk with_kid(std::string kid) const;

  // Verifies a signature in the form of RFC 7518 §3 and RFC 8037 §3.1. kSignature: the key does not
  // fit, or the signature is not one of this key over this input.
  Result<void> verify(Algorithm algorithm, ByteView signing_input, ByteView signature) const;

  // The kept members kty kid use alg key_ops crv x y n e, in this order; key_ops sorted.
  json::object canonical() const;
  // SHA-256 of the required members, in base64url (RFC 7638 §3).
  std::string thumbprint() const;

 private:
  struct Data;
  explicit PublicJwk(std::shared_ptr<const Data> data);

  std::shared_ptr<const Data> data_;
};

}  // namespace notp::jose
