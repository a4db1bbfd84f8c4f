// Limits of key sources, beside those of common/jose/jose_limits.hpp and
// protocol/wire/source_limits.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"

namespace notp::limits {

inline constexpr size_t kDiscoveryBytesMax = 64 << 10;  // a discovery document
inline constexpr size_t kEtagBytesMax = 256;            // longer ones are not kept

// One fetch, discovery and key set together.
inline constexpr TimeMs kSourceFetchMs = 5'000;

// From a good fetch to the next one: what the provider says, within these; its default; and how
// much chance changes it, in both directions.
inline constexpr TimeMs kSourceAgeMsMin = 60'000;
inline constexpr TimeMs kSourceAgeMsMax = 24LL * 3600 * 1000;
inline constexpr TimeMs kSourceAgeMs = 600'000;
inline constexpr int64_t kSourceJitterPercent = 10;
// A discovered URL is looked up again after this time, after any fetch that failed or brought
// nothing for an unknown key, and when an administrator asks.
inline constexpr TimeMs kDiscoveryAgeMs = 3600LL * 1000;

// From a failure to the next try: doubled up to the latter.
inline constexpr TimeMs kSourceRetryMs = 30'000;
inline constexpr TimeMs kSourceRetryMsMax = 600'000;
// Failures in a row for this time: the issuer is failing.
inline constexpr TimeMs kSourceFailingMs = 15LL * 60 * 1000;

// Between two fetches because of a key that a node did not know: jose's cooldownDuration.
inline constexpr TimeMs kUnknownKeyFloorMs = 30'000;
// Kids that were reported during one fetch.
inline constexpr size_t kReportedKidsMax = 32;
// From the beginning of any fetch to one that an administrator asks for.
inline constexpr TimeMs kRefreshFloorMs = 5'000;
// Sessions learn the time of the last good fetch at most this often.
inline constexpr TimeMs kGoodFetchReportMs = 60'000;

// A head that moves while a release is made.
inline constexpr int kRebuildTries = 3;

}  // namespace notp::limits
