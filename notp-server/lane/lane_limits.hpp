// Limits of token lanes at a registry.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::lane {

inline constexpr size_t kGrantsMax = 256;        // of one lane
inline constexpr size_t kGrantPatternsMax = 64;  // nodes, audiences or clients of one grant

// --- intake
inline constexpr size_t kIntakeEventsMax = 4'096;            // of one take()
inline constexpr size_t kIntakeWaitingEventsMax = 65'536;    // that wait for their transaction
inline constexpr size_t kIntakeWaitingBytesMax = 64U << 20;  // the same
inline constexpr size_t kSourceKeyBytesMax = 256;            // IncomingEvent::key
inline constexpr size_t kSourceNameBytesMax = 64;
inline constexpr int64_t kKeyLifeS = 24LL * 3600;  // an event of that key is a duplicate
inline constexpr size_t kLivingPageMax = 1'024;    // tokens that are read at once

// A revocation of a subject without a time counts for what is issued up to so many seconds later: a
// provider's clock may be ahead of the registry's, as far as clocks that are kept by NTP differ.
inline constexpr int64_t kRevokeAheadS = 5;

// --- sessions
// What sessions want, between two commits: revocations do not wait for many questions.
inline constexpr size_t kPostedAtOnce = 16;

// --- history
// What has ended is kept so much longer: clocks differ, and add and delete of one token come in
// any order.
inline constexpr int64_t kEndSkewS = 60;
// A tombstone is kept so long at least: a node that was away for less goes on by revision.
inline constexpr int64_t kHistoryS = 3'600;
// Revocations are never refused because there are many tokens, only to save the disk.
inline constexpr size_t kTombstonesMax = 16'000'000;
inline constexpr size_t kMarksMax = 4'000'000;
inline constexpr size_t kSweepRowsMax = 2'048;  // in one transaction
inline constexpr int64_t kSweepMs = 10'000;     // between two sweeps that find nothing more
// How far a sweep follows a wall clock that jumps ahead, and when it believes it.
inline constexpr int64_t kSweepAheadMs = 3'600'000, kSweepTrustMs = 24 * 3'600'000;

// Another instance, because a node is ahead, at most so often: a node that lies costs one snapshot
// of each node.
inline constexpr int64_t kRenewEveryMs = 3'600'000;

inline constexpr size_t kRewriteRowsMax = 8'192;  // tokens whose attributes are erased at once

// --- backups
inline constexpr int kCopyPagesAtOnce = 64;  // of kDatabasePageBytes, between two commits: 1 MiB

// --- fan-out
// Adds wait for one another so long: at few sessions, and from kManyReaders on.
inline constexpr int64_t kGatherMsMin = 20, kGatherMsMax = 125;
// Writes to readers that a registry makes in a millisecond beside all else that it does: a batch
// for each event would never end.
inline constexpr size_t kWritesOfMs = 25;
inline constexpr size_t kFewReaders = 1'000, kManyReaders = 10'000;
// Estimates of what is encoded, below kLaneBatchBytesMax and kLaneSnapshotBytesMax.
inline constexpr size_t kBatchPlainBytes = 600U << 10, kPagePlainBytes = 600U << 10;
inline constexpr size_t kPageRowsMax = 8'192;
inline constexpr int kSnapshotReadsMax = 8;              // of the store, for one page
inline constexpr size_t kRingBytesMax = 32U << 20;       // statements kept of one lane, all grants
inline constexpr size_t kPageCacheBytesMax = 64U << 20;  // pages kept of one lane
inline constexpr int64_t kPageLifeMs = 30'000;  // a snapshot begins with pages that are younger
inline constexpr int64_t kTailLifeMs = 1'000;  // readers share what was read of the history so long

}  // namespace notp::lane
