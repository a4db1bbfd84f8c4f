#include "common/jose/algorithm.hpp"

#include <algorithm>
#include <array>

#include "common/jose/algorithm_traits.hpp"

namespace notp::jose {
namespace {

constexpr std::array<AlgorithmTraits, 10> kTraits = {{
    {"EdDSA", "OKP", "", ""},
    {"ES256", "EC", "P-256", "SHA256"},
    {"ES384", "EC", "P-384", "SHA384"},
    {"ES512", "EC", "P-521", "SHA512"},
    {"PS256", "RSA", "", "SHA256"},
    {"PS384", "RSA", "", "SHA384"},
    {"PS512", "RSA", "", "SHA512"},
    {"RS256", "RSA", "", "SHA256"},
    {"RS384", "RSA", "", "SHA384"},
    {"RS512", "RSA", "", "SHA512"},
}};

constexpr std::array<Algorithm, 10> kAll = {
    Algorithm::kEdDsa, Algorithm::kEs256, Algorithm::kEs384, Algorithm::kEs512, Algorithm::kPs256,
    Algorithm::kPs384, Algorithm::kPs512, Algorithm::kRs256, Algorithm::kRs384, Algorithm::kRs512};

}  // namespace

const AlgorithmTraits& traits_of(Algorithm algorithm) {
  return kTraits[static_cast<size_t>(algorithm)];
}

bool AlgorithmTraits::suits(std::string_view key_kty, std::string_view key_crv) const {
  return key_kty == kty && (crv.empty() || key_crv == crv);
}

std::optional<Algorithm> algorithm_of(std::string_view name) {
  const auto found =
      std::ranges::find(kAll, name, [](Algorithm algorithm) { return traits_of(algorithm).name; });
  return found == kAll.end() ? std::nullopt : std::optional(*found);
}

std::string_view algorithm_name(Algorithm algorithm) { return traits_of(algorithm).name; }

std::span<const Algorithm> all_algorithms() { return kAll; }

}  // namespace notp::jose
