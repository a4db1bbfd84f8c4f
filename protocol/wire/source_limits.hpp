// Limits of the messages about sources of key sets.
#pragma once

#include <cstddef>

#include "common/limits.hpp"

namespace notp::limits {

inline constexpr size_t kIssuersMax = 64;          // of one registry
inline constexpr size_t kIssuerNameBytesMax = 64;  // a folder's name
inline constexpr size_t kIssuerBytesMax = 512;     // its identifier
inline constexpr size_t kKidBytesMax = 256;        // longer ones are not reported
inline constexpr size_t kIssuerKeysMax = 32;       // of one key set
inline constexpr size_t kSourceUrlBytesMax = 2 << 10;

}  // namespace notp::limits
