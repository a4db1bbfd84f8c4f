// Signature algorithms of JSON Web Signature: those with public keys, and no others, so that
// neither "none" nor a shared secret can be chosen by a token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace notp::jose {

enum class Algorithm : uint8_t {
  kEdDsa,
  kEs256,
  kEs384,
  kEs512,
  kPs256,
  kPs384,
  kPs512,
  kRs256,
  kRs384,
  kRs512
};

// By its name, which is case-sensitive (RFC 7518 §3.1, RFC 8037 §3.1). nullopt for every other
// name, also for "none" and HS256.
std::optional<Algorithm> algorithm_of(std::string_view name);
std::string_view algorithm_name(Algorithm algorithm);
// All of them, in the order of the enumeration.
std::span<const Algorithm> all_algorithms();

}  // namespace notp::jose
