// Limits of the messages about token lanes.
#pragma once

#include <cstddef>

#include "protocol/feed/feed_limits.hpp"

namespace notp::limits {

inline constexpr size_t kLanesMax = 16;        // of one registry
inline constexpr size_t kLaneSourcesMax = 32;  // of one lane
inline constexpr size_t kLaneBodyBytesMax =    // of one LaneStatement
    kLaneBatchBytesMax > kLaneSnapshotBytesMax ? kLaneBatchBytesMax : kLaneSnapshotBytesMax;
inline constexpr size_t kMarkTextBytesMax = 2 << 10;         // an issuer, or what a mark is about
inline constexpr size_t kTokenAttributesBytesMax = 8 << 10;  // as JSON

}  // namespace notp::limits
