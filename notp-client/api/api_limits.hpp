// Limits on what one request to the agent's API can make it hold.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

inline constexpr size_t kApiTokensMax = 10'000;
inline constexpr size_t kApiTokenNameBytesMax = 64;
inline constexpr size_t kApiTokenBytesMax = 512;  // one token as sent
inline constexpr size_t kApiTokenFileBytesMax = 2 << 20;
inline constexpr size_t kPepAtOnceDefault = 256;  // concurrent requests of one caller
// Refusals for which repetitions are counted; beyond this number the oldest is dropped.
inline constexpr size_t kRefusalsRememberedMax = 4'096;
inline constexpr int64_t kRefusalLogMs = 3'600'000;  // between two log lines about the same refusal

}  // namespace notp::limits
