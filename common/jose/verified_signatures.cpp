#include "common/jose/verified_signatures.hpp"

#include <fmt/format.h>

namespace notp::jose {

// The length keeps bytes from moving between the two.
Hash VerifiedSignatures::id_of(Algorithm algorithm, ByteView signing_input, ByteView signature) {
  return Sha256()
      .update(fmt::format("{} {}\n", algorithm_name(algorithm), signing_input.size()))
      .update(signing_input)
      .update(signature)
      .finish();
}

bool VerifiedSignatures::has(const Hash& id) const {
  const MutexLock lock(mutex_);
  return young_.contains(id) || old_.contains(id);
}

void VerifiedSignatures::add(const Hash& id) {
  const MutexLock lock(mutex_);
  if (young_.size() >= kSignaturesRemembered) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert(id);
}

}  // namespace notp::jose
