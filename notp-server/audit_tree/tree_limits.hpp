// Limits of the registry's tree, beyond those of common/limits.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

// C2SP tlog-tiles: a tile has the hashes of 8 levels, a bundle as many entries.
inline constexpr uint32_t kTileHeight = 8;
inline constexpr uint64_t kTileWidth = 1 << kTileHeight;
// Tiles in memory, with the hashes above theirs: 16 KiB each.
inline constexpr size_t kTilesCachedMax = 256;

// --- sealing
inline constexpr size_t kSealEntries = 1'024;            // so many that wait are sealed at once
inline constexpr size_t kSealRoundMax = 4'096;           // entries of one transaction
inline constexpr uint64_t kSealRoundBytesMax = 8 << 20;  // the same, encoded
// Entries that wait: who adds more waits.
inline constexpr size_t kTreeQueueMax = 16'384;
inline constexpr uint64_t kTreeQueueBytesMax = 32 << 20;
inline constexpr int64_t kTreeRetryMs = 1'000;  // after a failed commit
// Checkpoints that are kept, and besides the newest one that is cosigned: some three hours.
inline constexpr size_t kTreeCheckpointsMax = 1'000;

// --- receipts and witnesses
inline constexpr size_t kWitnessedQueueMax = 16'384;   // answers of nodes that wait
inline constexpr size_t kSessionsWaitingMax = 65'536;  // with them: sessions that begin
inline constexpr int64_t kWitnessCallMs = 5'000;       // a stop waits for it
inline constexpr int64_t kWitnessRetryMs = 10'000, kWitnessRetryMsMax = 300'000;
inline constexpr size_t kWitnessAnswerBytesMax = 16 << 10;

// --- who read what
inline constexpr int64_t kReadsEveryMs = 60'000;  // one entry for so long, of one kind and reader
inline constexpr size_t kReadersMax = 4'096;      // that are remembered for that
inline constexpr size_t kReadTextBytesMax = 256;  // what is said of the filter

// --- answers
inline constexpr size_t kTreePageBytesMax = kFrameBytesMax / 2;

}  // namespace notp::limits
