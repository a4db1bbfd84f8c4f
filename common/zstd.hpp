// Zstandard (RFC 8878) with a prefix (a raw-content dictionary) and bounded decoding.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "common/bytes.hpp"

namespace notp {

// Asked before each step of a long compression, some 100 ms at the highest levels. False stops it.
// May block, to let others go first.
using KeepGoing = std::function<bool()>;

struct ZstdOptions {
  int level = 3;               // 1 … 22
  int window_log = 0;          // at most; 0: chosen from the sizes
  bool long_distance = false;  // long-range matches, for prefixes of many MB
  size_t frame_bytes_max = SIZE_MAX;
  // With it the content goes in step by step: other bytes, as good, and the window's memory more.
  const KeepGoing* keep_going = nullptr;
};

// One frame with its content size and no checksum (the content root covers the bytes), coded
// against `prefix` when it is not empty. No bytes when that takes more than frame_bytes_max.
// Deterministic for equal inputs, options (with keep_going or without) and version of zstd.
// kCancelled when keep_going said so. Memory besides the outcome: what the level needs, and
// content.size() while it works.
Result<Bytes> zstd_compress(ByteView content, ByteView prefix, const ZstdOptions& options);

// Decodes exactly one frame that must be the whole of `frame` and give exactly `content_bytes`.
// kArtifact when the frame says or gives another size, needs a window over kZstdWindowLogMax, names
// a dictionary, is followed by other bytes, or is damaged. Memory: content_bytes and the window.
Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes);

// The same into memory of the caller, which has exactly the size of the content. No memory for a
// window: what was decoded is it. After an error `out` holds anything.
Result<void> zstd_decompress_into(ByteView frame, ByteView prefix, std::span<char> out);

// Decodes a frame piece by piece, for content that is looked at once and never held whole. Memory:
// the window, and some 300 KB.
class ZstdReader {
 public:
  // The frame must outlive the reader. Errors as of zstd_decompress, with the window limited to
  // 2^window_log_max bytes.
  static Result<ZstdReader> open(ByteView frame, uint64_t content_bytes, int window_log_max);

  // Fills `out` with what comes next: fewer bytes than fit mean that nothing is left. kArtifact
  // when the frame is damaged.
  Result<size_t> read(std::span<char> out);

  ~ZstdReader();
  ZstdReader(ZstdReader&&) noexcept;
  ZstdReader& operator=(ZstdReader&&) noexcept;

 private:
  struct State;
  explicit ZstdReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace notp
