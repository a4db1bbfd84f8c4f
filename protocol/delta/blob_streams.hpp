// What the two sides of a delta of a large content (blob_delta.hpp) share.
#pragma once

#include <vector>

#include "common/bytes.hpp"

namespace notp::delta {

// A source, as the offsets stream names it: where the content goes on in place, right behind the
// last copy, or a distance from the former.
inline constexpr uint64_t kInPlace = 0;
inline constexpr uint64_t kBehindLast = 1;
inline constexpr uint64_t kFirstDistance = 2;

// What base and target have in front and at the end, and what is between.
struct Frame {
  uint64_t front_bytes = 0, end_bytes = 0;

  uint64_t middle(uint64_t whole) const { return whole - front_bytes - end_bytes; }
};

// Old bytes that literals are compressed against, and the copies beyond which none gets a share.
inline constexpr uint64_t kContextBytesMax = 128 << 10;
inline constexpr uint64_t kContextCopiesMax = kContextBytesMax - 2;

// Those bytes: what is in front of each literal, and then what is behind the last. Both sides make
// the same of the copies that they know. `copy_ends`, in the base, may be left out when there are
// more than kContextCopiesMax.
Bytes literal_context(ByteView base, const Frame& frame, uint64_t copies,
                      const std::vector<uint32_t>& copy_ends, uint64_t literal_bytes);

}  // namespace notp::delta
