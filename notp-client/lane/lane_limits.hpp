// Limits of a node's token lane.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"
#include "protocol/feed/feed_limits.hpp"

namespace notp::limits {

// --- following
// A registry without an answer to LaneSubscribe for so long knows no lanes.
inline constexpr int64_t kLaneAnswerMs = 10'000;
// Between two subscriptions of a session, doubling while they do not help.
inline constexpr int64_t kLaneAgainFirstMs = 1'000;
inline constexpr int64_t kLaneAgainMaxMs = 60'000;
// Changes that wait for the store or the PDP. Above it statements are dropped, and wanted again
// when half of it is done.
inline constexpr size_t kLaneOpenBytesMax = 64 << 20;
inline constexpr size_t kLaneOpenChangesMax = 8'192;
// Statements that wait for the lane's thread; above it they are dropped.
inline constexpr size_t kLaneQueuedBytesMax = 32 << 20;
// Between two readouts at least, without any other change: the PDP's age clock follows them.
inline constexpr int64_t kLaneShownMs = 10'000;
inline constexpr int64_t kLaneExpiryMs = 1'000;  // between two sweeps

// --- asking
inline constexpr size_t kLaneHeldMax = 100'000;      // ids with a positive answer
inline constexpr int64_t kLaneHeldMs = 60'000;       // such an answer is used so long at most
inline constexpr size_t kLaneUnknownMax = 100'000;   // ids with a negative answer
inline constexpr int64_t kLaneUnknownMs = 5'000;     // such an answer is used so long
inline constexpr int64_t kLaneUnansweredMs = 5'000;  // then an id may be asked for again
inline constexpr int64_t kLaneAskGatherMs = 1;       // between two frames at least

// --- lane.db
inline constexpr size_t kLaneRowsLoaded = 4'096;       // in one step
inline constexpr size_t kLaneRowsExpired = 4'096;      // in one transaction
inline constexpr int64_t kLaneRowsExpiredMs = 60'000;  // between two sweeps of it
inline constexpr size_t kLaneKeyBytes = 32;            // of AES-256
inline constexpr size_t kLaneSetAsideMax = 4;          // damaged files that are kept

}  // namespace notp::limits
