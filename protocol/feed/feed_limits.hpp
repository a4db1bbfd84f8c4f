// Limits of token lanes that both ends, or a relay between them, must agree on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

// --- records
inline constexpr size_t kTokenRecordBytesMax = 1 << 10;  // encoded
inline constexpr size_t kTokenAttributeBytesMax = 512;   // one text of it
inline constexpr size_t kTokenListMax = 16;              // entries of aud, of amr

// --- status lists (draft-ietf-oauth-status-list)
inline constexpr size_t kStatusListBytesMax = 512 << 10;         // compressed
inline constexpr uint64_t kStatusListInflatedMax = 64ULL << 20;  // inflated
inline constexpr size_t kStatusListsMax = 1024;                  // of one lane

// --- statements
inline constexpr size_t kLaneNameBytesMax = 64;
inline constexpr size_t kLaneBatchBytesMax = 640 << 10;     // of a batch's body: one list and more
inline constexpr size_t kLaneBatchEventsMax = 4'096;        // of one batch
inline constexpr size_t kLaneSnapshotBytesMax = 640 << 10;  // of a snapshot's body, as it is sent
inline constexpr size_t kLaneInflatedBytesMax = 2 << 20;    // of any statement's body
inline constexpr uint64_t kLaneHardSecondsMax = 7ULL * 24 * 3600;
inline constexpr uint64_t kLaneLifeSecondsMax = 400ULL * 24 * 3600;

// --- sessions
inline constexpr size_t kLaneUnsentBytesMax = 1 << 20;  // above it a node is behind
inline constexpr int64_t kLaneHeartbeatMs = 10'000;     // between two batches at most
inline constexpr int64_t kLaneLiveMs = 30'000;          // an older lane lags
inline constexpr int64_t kLaneAppliedMs = 1'000;        // between two LaneApplied at least
inline constexpr size_t kLaneAskIdsMax = 64;            // of one LaneAsk
inline constexpr size_t kLaneAsksOpenMax = 1'024;       // ids of one session without an answer
inline constexpr int64_t kLaneAskMs = 50;               // a decision waits so long for an answer
// A mark further ahead would lock out what is issued until then.
inline constexpr int64_t kMarkAheadMsMax = 60'000;

}  // namespace notp::limits
