// A set of public keys (RFC 7517 §5).
#pragma once

#include <string_view>
#include <vector>

#include "common/jose/jose_limits.hpp"
#include "common/jose/jwk.hpp"

namespace notp::jose {

// Immutable. Thread-safe.
class KeySet {
 public:
  KeySet() = default;  // no keys
  // Members beside "keys" are ignored (RFC 7517 §5). One bad key refuses the set. kMessage: not a
  // key set, a key that PublicJwk refuses, a kid that two keys have; kLimit: more than kKeysMax
  // keys.
  static Result<KeySet> parse(const json::value& document);
  // Reads a document; also kLimit above kKeySetBytesMax, kMessage for what parse_json() refuses.
  static Result<KeySet> parse_text(std::string_view text);

  const std::vector<PublicJwk>& keys() const { return keys_; }
  // Returns the keys of that kid that fit the algorithm; for an empty kid, all that fit. They
  // belong to this set.
  std::vector<const PublicJwk*> candidates(std::string_view kid, Algorithm algorithm) const;

 private:
  std::vector<PublicJwk> keys_;
};

}  // namespace notp::jose
