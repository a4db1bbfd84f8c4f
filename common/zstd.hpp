// Zstandard (RFC 8878) with a prefix (a raw-content dictionary) and bounded decoding.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "common/bytes.hpp"

namespace notp {

// Called before each step of a long compression, some 100 ms at the highest levels. False stops it.
// May block, to let others go first.
using KeepGoing = std::function<bool()>;

struct ZstdOptions {
  int level = 3;               // 1 … 22
  int window_log = 0;          // at most; 0: chosen from the sizes
  bool long_distance = false;  // long-range matches, for prefixes of many MB
  size_t frame_bytes_max = SIZE_MAX;
  // If set, the content is passed in steps: other bytes, equally small, and the window's memory in
  // addition.
  const KeepGoing* keep_going = nullptr;
};

// Compresses to one frame with its content size and no checksum (the content root covers the
// bytes), coded against `prefix` when it is not empty. Empty when that takes more than
// frame_bytes_max. Deterministic for equal inputs, options (with keep_going or without) and version
// of zstd. kCancelled when keep_going returned false. Memory besides the result: that of the level,
// and content.size() while it works.
Result<Bytes> zstd_compress(ByteView content, ByteView prefix, const ZstdOptions& options);

// Decodes exactly one frame that must be the whole of `frame` and give exactly `content_bytes`.
// kArtifact when the frame declares or gives another size, needs a window over kZstdWindowLogMax,
// names a dictionary, is followed by other bytes, or is damaged. Memory: content_bytes and the
// window.
Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes);
// The same with the window limited to 2^window_log_max bytes.
Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes,
                              int window_log_max);

// Returns the size that a frame declares for its content; nullopt when it declares none.
std::optional<uint64_t> zstd_content_bytes(ByteView frame);

// The same into the caller's memory, which has exactly the size of the content. No memory for a
// window: the decoded bytes are the window. After an error the content of `out` is undefined.
Result<void> zstd_decompress_into(ByteView frame, ByteView prefix, std::span<char> out);

// Decodes a frame piece by piece, for content that is read once and never held whole. Memory: the
// window, and some 300 KB.
class ZstdReader {
 public:
  // The frame must outlive the reader. Errors as for zstd_decompress(), with the window limited to
  // 2^window_log_max bytes.
  static Result<ZstdReader> open(ByteView frame, uint64_t content_bytes, int window_log_max);

  // Fills `out` with the next bytes: fewer than fit mean the end. kArtifact when the frame is
  // damaged.
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
