// Finds what of a new content is in its old version, for blob_delta.
#pragma once

#include <vector>

#include "common/bytes.hpp"

namespace notp::delta {

// Literal bytes, then a copy.
struct Copy {
  uint32_t literal_bytes;
  uint32_t bytes;
  uint32_t from;  // in the base
};

size_t common_prefix(ByteView a, ByteView b);
size_t common_suffix(ByteView a, ByteView b);

// Copies that make up `target` from left to right, none shorter than kCopyBytesMin; what is behind
// the last one is literal. Deterministic, in time that is linear in both. A content goes on where
// it was rather than elsewhere: the farther off, the longer a copy must be.
std::vector<Copy> find_copies(ByteView base, ByteView target);

}  // namespace notp::delta
