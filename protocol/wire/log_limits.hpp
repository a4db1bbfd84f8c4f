// Limits of the messages about decision records beyond those that the rest of the program needs
// (common/limits.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/limits.hpp"

namespace notp::limits {

// What a segment counts against a window beside its body: its Segment message, and the registry's
// work for it. A node cannot flood a registry with segments that have no body.
inline constexpr uint64_t kSegmentOverheadBytes = 4 << 10;
// Perfect subtrees that a segment's records make up: at most two of each of the levels 0 to 8.
inline constexpr size_t kSegmentSubtreesMax = 18;
// A body is one zstd frame, which grows by less than 1 part in 256 when its content is random.
constexpr uint64_t segment_body_bytes_max(uint64_t content_bytes) {
  return content_bytes + (content_bytes >> 8) + 128;
}
// The content of one segment: a record may begin while there is room for it.
inline constexpr uint64_t kSegmentContentMax = kSegmentContentBytesMax + kRecordBytesMax;
// An answered segment of which some records are closed: a byte and a hash or a salt each.
inline constexpr uint64_t kSegmentAnswerBytesMax =
    segment_body_bytes_max(kSegmentContentMax + kSegmentRecordsMax * 64);
// The part of it in one Response: half of a frame leaves room for the segment's head.
inline constexpr size_t kSegmentPartBytesMax = kFrameBytesMax / 2;

inline constexpr size_t kFilterValuesMax = 16;
inline constexpr size_t kFilterTextBytesMax = 4 << 10;
inline constexpr size_t kFilterKindsMax = 8;
inline constexpr size_t kCursorBytesMax = 1 << 10;
inline constexpr size_t kDecisionCountsMax = 10'000;  // rows of one page
// The newest faults of a log that its row lists: so many fit a frame beside an announcement.
inline constexpr size_t kLogFaultsListedMax = 32;
inline constexpr size_t kTreeEntriesPageMax = 4'096;  // entries of one TreePart
inline constexpr size_t kErasedIdsMax = 1'000;        // decision ids of one EraseRequest
// A frontier: its size, and a hash for each bit of it.
inline constexpr size_t kFrontierBytesMax = 10 + kTreeLevelsMax * 32;

}  // namespace notp::limits
