// Definitions that the encoder and the decoder of blob deltas (blob_delta.hpp) share.
#pragma once

#include <vector>

#include "common/bytes.hpp"

namespace notp::delta {

// A source in the offsets stream: in place, right behind the last copy, or a distance from the
// former.
inline constexpr uint64_t kInPlace = 0;
inline constexpr uint64_t kBehindLast = 1;
inline constexpr uint64_t kFirstDistance = 2;

// The common front and end of base and target, and the middle between them.
struct Frame {
  uint64_t front_bytes = 0, end_bytes = 0;

  uint64_t middle(uint64_t whole) const { return whole - front_bytes - end_bytes; }
};

// Limits the old bytes that literals are compressed against, and the copies that get a share.
inline constexpr uint64_t kContextBytesMax = 128 << 10;
inline constexpr uint64_t kContextCopiesMax = kContextBytesMax - 2;

// Returns those bytes: the ones in front of each literal, then the ones behind the last. Both sides
// compute the same from the copies. `copy_ends`, in the base, may be empty when there are more than
// kContextCopiesMax copies.
Bytes literal_context(ByteView base, const Frame& frame, uint64_t copies,
                      const std::vector<uint32_t>& copy_ends, uint64_t literal_bytes);

}  // namespace notp::delta
