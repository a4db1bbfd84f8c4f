// Finds the parts of a new content that its old version has, for blob_delta.
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

// Finds copies that make up `target` from left to right, none shorter than kCopyBytesMin; the bytes
// after the last one are literal. Deterministic, in time linear in both. Prefers copies that
// continue in place: the farther the source, the longer a copy must be.
std::vector<Copy> find_copies(ByteView base, ByteView target);

}  // namespace notp::delta
