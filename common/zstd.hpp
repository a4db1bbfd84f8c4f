// Zstandard (RFC 8878) with a prefix (a raw-content dictionary) and bounded decoding.
#pragma once

#include <cstdint>
#include <functional>

#include "common/bytes.hpp"

namespace notp {

// Asked before each step of a long compression, some 100 ms at the highest levels. False stops it.
// May block, to let others go first.
using KeepGoing = std::function<bool()>;

struct ZstdOptions {
  int level = 3;               // 1 … 22
  int window_log = 0;          // 0: chosen from the sizes
  bool long_distance = false;  // long-range matches, for prefixes of many MB
  // With it the content goes in step by step: other bytes, as good, and the window's memory more.
  const KeepGoing* keep_going = nullptr;
};

// One frame with its content size and no checksum (the content root covers the bytes), coded
// against `prefix` when it is not empty. Deterministic for equal inputs, options (with keep_going
// or without) and version of zstd. kCancelled when keep_going said so.
Result<Bytes> zstd_compress(ByteView content, ByteView prefix, const ZstdOptions& options);

// Decodes exactly one frame that must be the whole of `frame` and give exactly `content_bytes`.
// kArtifact when the frame says or gives another size, needs a window over kZstdWindowLogMax, names
// a dictionary, is followed by other bytes, or is damaged. Memory: content_bytes and the window.
Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes);

}  // namespace notp
