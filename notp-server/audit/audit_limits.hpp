// Limits of the audit store and its questions, beyond those of common/limits.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

// --- index of a segment
// A node may write any text as a path or a ledger; longer ones are cut in heads and counts.
inline constexpr size_t kHeadPathBytesMax = 1 << 10, kHeadLedgerBytesMax = 256;
// Of one decoded part of a head: 1,024 different paths and ledgers fit.
inline constexpr size_t kHeadPartBytesMax = 2 << 20;

// --- files
inline constexpr size_t kDayReadersMax = 16;    // connections to closed days that stay open
inline constexpr size_t kDayPageRowsMax = 64;   // segments that are listed under one lock
inline constexpr size_t kFaultsPerLogMax = 16;  // of kForksKeptMax: one node cannot fill them all
inline constexpr size_t kFaultSegmentBytesMax = 1 << 20;  // evidence; larger: its checkpoint alone
inline constexpr size_t kFaultMessageBytesMax = 1 << 10;
inline constexpr size_t kDamagesMax = 1'000;  // damaged files that are named
// Of today's file: it is in memory twice while records are taken out of it, and nothing is stored.
inline constexpr uint64_t kRedactInPlaceBytesMax = 32 << 20;
inline constexpr int kRewriteAttemptsMax = 8;  // of a file that is changed meanwhile

// --- intake
// Segments of one commit: 16 MiB are written in well under a second, which is what a node waits.
inline constexpr size_t kIngestRoundMax = 256;
inline constexpr uint64_t kIngestRoundBytesMax = 16 << 20;
inline constexpr int64_t kIngestRetryMs = 1'000;  // after a failed commit
// Nodes that catch up at once: half of the queue's bytes. Others wait for their grant.
inline constexpr size_t kCatchingUpMax = kIngestBytesMax / 2 / kLogWindowBytes;
// A node that delivers nothing for so long gives its place to the next one: one segment of usual
// size over 256 kbit/s takes 6 s.
inline constexpr int64_t kCatchingUpIdleMs = 10'000;
inline constexpr size_t kGrantsWaitingMax = 65'536;

// --- questions
inline constexpr size_t kAuditPageBytesMax = 512 << 10;
inline constexpr size_t kAuditRowBytesMax = 448
                                            << 10;  // a record and its ACTIVE record fit a frame
inline constexpr size_t kAuditCountRowsMax = 1'000;
inline constexpr size_t kActiveSetsCachedMax = 256;
inline constexpr size_t kAuditLogsPageMax = 256;

// --- what is deleted and erased
// A page of an erasure: it ends with the segment in which one of these is reached. Each file is
// written anew, which takes as long as it is large.
inline constexpr int64_t kErasePageMs = 5'000;
inline constexpr size_t kErasePageSegmentsMax = 256, kErasePageFilesMax = 2;
// Of records that are deleted by rule in one go: a file is written anew for each.
inline constexpr size_t kDeleteBatchSegmentsMax = 8'192, kDeleteBatchRecordsMax = 1 << 20;
inline constexpr size_t kDeleteScanSegmentsMax = 4'096;  // looked at while nobody may place a hold
inline constexpr int64_t kRetentionRunMs = 3'600'000;
inline constexpr int kDayRecompressLevel = 12;
inline constexpr uint64_t kBusySegmentsPerSecond = 20;
inline constexpr size_t kTermsCachedMax = 4'096;  // releases

}  // namespace notp::limits
