// Limits of the service's own keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"

namespace notp::limits {

// Of one service. A key set has at most kKeysMax (common/jose); those that nodes must keep go
// first.
inline constexpr size_t kRingKeysMax = 28;
// Keys that are published before they are needed: as many as are used while one is being
// published, within these.
inline constexpr size_t kRingSparesMin = 1, kRingSparesMax = 8;
// How long it takes until all nodes have a new key, when nothing fails: a fetch because of an
// unknown key, at most once in kUnknownKeyFloorMs (notp-server/sources), and its release.
inline constexpr TimeMs kRingPublishMs = 60'000;
// Between two hints to the registry that a key is not published yet.
inline constexpr TimeMs kRingHintMs = 30'000;
// Between two questions of how far a release has come.
inline constexpr TimeMs kRingAskMs = 1'000;
// An answer that takes longer was lost with its session.
inline constexpr TimeMs kRingAnswerMs = 10'000;
// How long a release without terms of freshness waits for nodes that do not acknowledge it. Others
// wait for kRingFreshTimes times their fresh_s.
inline constexpr TimeMs kRingUnackedMs = 3600LL * 1000;
inline constexpr int64_t kRingFreshTimes = 2;
// At a rotation an acknowledgement is not older than this: nodes that have come back meanwhile may
// lack the key. They have so much time more to take it.
inline constexpr TimeMs kRingAckMs = 5'000;
inline constexpr TimeMs kRingComeMs = 30'000;
// After a failure of the disk.
inline constexpr TimeMs kRingRetryMs = 10'000;
inline constexpr size_t kRingStateBytesMax = 64 << 10;
inline constexpr size_t kRingPemBytesMax = 16 << 10;

}  // namespace notp::limits
