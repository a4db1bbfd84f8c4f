// Limits of the messages about sources of key sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

inline constexpr size_t kIssuersMax = 64;          // of one registry
inline constexpr size_t kIssuerNameBytesMax = 64;  // a folder's name
inline constexpr size_t kIssuerBytesMax = 512;     // its identifier
inline constexpr size_t kKidBytesMax = 256;        // longer ones are not reported
inline constexpr size_t kIssuerKeysMax = 32;       // of one key set
inline constexpr size_t kSourceUrlBytesMax = 2 << 10;

// --- agent
inline constexpr int64_t kUnknownKeyPauseMs = 30'000;  // between two reports about one issuer
// Reports that wait for the agent's core, one for each issuer that tokens name; and how often it
// takes them.
inline constexpr size_t kUnknownKeysWaitingMax = 64;
inline constexpr int64_t kUnknownKeysTakenMs = 100;
// Between two documents at data.system.notp that differ in what is said of key sources: in their
// states; only in their times.
inline constexpr int64_t kSourceStatesShownMs = 1'000;
inline constexpr int64_t kSourceTimesShownMs = 60'000;

}  // namespace notp::limits
