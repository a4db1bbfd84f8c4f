// Content-defined segments of a large blob: after an edit, the segments away from it keep their
// bytes and need not be written again.
#pragma once

#include <vector>

#include "common/bytes.hpp"

namespace notp::store {

// Cuts `content` into consecutive pieces of kSegmentBytesMin to kSegmentBytesMax (the last may be
// shorter), at places that depend only on the bytes just before them. Deterministic: equal content
// gives equal pieces in every build.
std::vector<ByteView> cut_segments(ByteView content);

}  // namespace notp::store
