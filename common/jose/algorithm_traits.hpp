// What an algorithm is made of, for keys and signatures.
#pragma once

#include "common/jose/algorithm.hpp"

namespace notp::jose {

struct AlgorithmTraits {
  std::string_view name;
  std::string_view kty;
  std::string_view crv;     // empty: any of that kty
  const char* digest = "";  // OpenSSL's name; empty: the algorithm hashes by itself

  bool suits(std::string_view key_kty, std::string_view key_crv) const;
  bool is_pss() const { return name.starts_with("PS"); }
};
const AlgorithmTraits& traits_of(Algorithm algorithm);

}  // namespace notp::jose
