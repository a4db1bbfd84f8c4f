// The coding of a large content against its old version (Coding::kDelta): what both have in front
// and at the end, and between them copies from the old version and literals. The layout is
// specified in protocol/delta/artifact.hpp.
#pragma once

#include "common/bytes.hpp"
#include "protocol/delta/encoding_tier.hpp"

namespace notp::delta {

// No copy is shorter: it would cost more than it saves, and the least length bounds a decoder's
// time.
inline constexpr size_t kCopyBytesMin = 8;

// `target` against `base`. Deterministic for equal inputs, effort and version of zstd; the time is
// linear. Neither may have more than kBlobBytesMax. kCancelled.
Result<Bytes> encode_blob_delta(ByteView base, ByteView target, const EncodingTier& encoding_tier);

// The content of `target_bytes` bytes that `coded` makes of `base`. kArtifact when it is malformed
// or makes another number of bytes. Memory: target_bytes and some 3 MB, whatever `coded` holds: the
// streams of numbers are read piece by piece in windows of 2^kDeltaWindowLogMax bytes.
Result<Bytes> decode_blob_delta(ByteView coded, ByteView base, uint64_t target_bytes);

}  // namespace notp::delta
