// The signatures that one public key was found to have made, so that a token which comes again
// costs a hash, and no curve arithmetic.
#pragma once

#include <unordered_set>

#include "common/crypto/digest.hpp"
#include "common/jose/algorithm.hpp"
#include "common/mutex.hpp"

namespace notp::jose {

// Each holds 32 bytes; the two generations of a busy key take about a megabyte.
inline constexpr size_t kSignaturesRemembered = 8'192;  // of one generation

// Thread-safe. Belongs to one key: what is in it says nothing of another one. Only who has the
// private key can add to it, as nothing else verifies.
class VerifiedSignatures {
 public:
  // Of all that the verification of a signature depends on beside the key.
  static Hash id_of(Algorithm algorithm, ByteView signing_input, ByteView signature);

  bool has(const Hash& id) const;
  // The oldest are forgotten: between kSignaturesRemembered and twice as many are known.
  void add(const Hash& id);

 private:
  using Ids = std::unordered_set<Hash, HashOfHash>;
  mutable Mutex mutex_;
  Ids young_ NOTP_GUARDED_BY(mutex_), old_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::jose
