// Limits of tokens and keys, beside those of common/limits.hpp. A peer can reach each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"

namespace notp::jose {

inline constexpr size_t kTokenBytesMax = 16 << 10;   // a compact JWS: fits an HTTP header section
inline constexpr size_t kKeySetBytesMax = 64 << 10;  // a document
inline constexpr size_t kKeysMax = 32;               // of one set
inline constexpr size_t kKeyMembersMax = 64;         // of one key: certificate chains are a member
// As long as what a node reports of an unknown key.
inline constexpr size_t kKidBytesMax = 256;
inline constexpr size_t kKeyOperationsMax = 8;  // RFC 7517 §4.3 has so many
// Of headers, claims and key sets: deeper documents are not tokens.
inline constexpr size_t kJsonDepthMax = 16;
inline constexpr size_t kAudiencesMax = 64;  // of one token
// Keys that one token without a kid is tried with: each is the work of one verification.
inline constexpr size_t kKeysTriedMax = 4;

inline constexpr int kRsaBitsMin = 2'048;
inline constexpr int kRsaBitsMax = 8'192;  // bounds the work of a verifier
// FIPS 186-5 §5.4 has the least; verifiers of policy engines have exponents of 31 bits.
inline constexpr uint64_t kRsaExponentMin = 65'537;
inline constexpr uint64_t kRsaExponentMax = (1ULL << 31) - 1;

// How far clocks may differ where a rule says nothing else.
inline constexpr TimeMs kLeewayMs = 60'000;

}  // namespace notp::jose
