// Where the next page of a search begins.
#pragma once

#include <cstdint>

#include "common/bytes.hpp"

namespace notp::audit {

struct SearchCursor {
  uint64_t key = 0;  // of a segment
  // The next record to be looked at, by its place in the segment; kBeyond: the segment is done.
  uint32_t index = 0;
  bool ascending = false;
  static constexpr uint32_t kBeyond = UINT32_MAX;

  // Opaque to its holder.
  Bytes encode() const;
  // kUsage: not a cursor, or of the other direction.
  static Result<SearchCursor> decode(ByteView bytes, bool ascending);
  bool operator==(const SearchCursor&) const = default;
};

}  // namespace notp::audit
