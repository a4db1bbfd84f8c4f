// Keeps records within kRecordBytesMax.
#pragma once

#include "common/limits.hpp"
#include "protocol/record/record.hpp"

namespace notp::spool {

inline constexpr size_t kContentBytesMax = limits::kRecordBytesMax - record::kPlaceBytesMax;
// Of an encoded gap record without text, with its numbers.
inline constexpr size_t kGapBytesMax = 64;

// Encodes the content. A decision above the limit is withheld as oversized: its input and result
// become their hashes, and what else may be long goes; an active set loses its `system`. Only a
// path or metadata near the limit still exceed it.
Bytes encode_within_limit(int64_t time_ns, const record::Content& content);

}  // namespace notp::spool
