// Codes a large content against its old version (Coding::kDelta): the common front and end, and
// between them copies from the old version and literals. The layout is specified in
// protocol/delta/artifact.hpp.
#pragma once

#include "common/bytes.hpp"
#include "protocol/delta/encoding_tier.hpp"

namespace notp::delta {

// The minimum length of a copy: a shorter one would cost more than it saves, and the minimum bounds
// a decoder's time.
inline constexpr size_t kCopyBytesMin = 8;

// Encodes `target` against `base`, in linear time. Deterministic for equal inputs, tier and version
// of zstd. Neither may exceed kBlobBytesMax. kCancelled.
Result<Bytes> encode_blob_delta(ByteView base, ByteView target, const EncodingTier& encoding_tier);

// Decodes `coded` against `base` to `target_bytes` bytes. kArtifact when it is malformed or makes
// another number of bytes. Memory: target_bytes and some 3 MB for any `coded`: the streams of
// numbers are read piece by piece in windows of 2^kDeltaWindowLogMax bytes.
Result<Bytes> decode_blob_delta(ByteView coded, ByteView base, uint64_t target_bytes);

}  // namespace notp::delta
