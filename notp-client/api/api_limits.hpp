// What a request to the agent's API may make it hold.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

inline constexpr size_t kApiTokensMax = 10'000;
inline constexpr size_t kApiTokenNameBytesMax = 64;
inline constexpr size_t kApiTokenBytesMax = 512;  // one token as it is sent
inline constexpr size_t kApiTokenFileBytesMax = 2 << 20;
inline constexpr size_t kPepAtOnceDefault = 256;  // requests of one caller under way
// Refusals whose first one is logged and whose others are counted; beyond it the oldest is
// forgotten.
inline constexpr size_t kRefusalsRememberedMax = 4'096;
inline constexpr int64_t kRefusalLogMs = 3'600'000;  // between two lines about the same

}  // namespace notp::limits
