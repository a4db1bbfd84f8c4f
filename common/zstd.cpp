#include "common/zstd.hpp"

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_getFrameHeader
#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>

#include "common/assert.hpp"
#include "common/c_owner.hpp"
#include "common/limits.hpp"

namespace notp {
namespace {

using Encoder = CPointer<ZSTD_CCtx, ZSTD_freeCCtx>;
using Decoder = CPointer<ZSTD_DCtx, ZSTD_freeDCtx>;

void set(ZSTD_CCtx* encoder, ZSTD_cParameter parameter, int value) {
  NOTP_ASSERT(!ZSTD_isError(ZSTD_CCtx_setParameter(encoder, parameter, value)),
              "a zstd parameter out of its range");
}

// The header is checked by itself: the decoder would otherwise allocate what six bytes ask for.
Result<void> check_header(ByteView frame, uint64_t content_bytes) {
  ZSTD_frameHeader header{};
  if (ZSTD_getFrameHeader(&header, frame.data(), frame.size()) != 0 ||
      header.frameType != ZSTD_frame)
    return fail(ErrorCode::kArtifact, "not a zstd frame");
  if (header.dictID != 0) return fail(ErrorCode::kArtifact, "a zstd frame names a dictionary");
  if (header.frameContentSize != content_bytes)
    return fail(ErrorCode::kArtifact,
                fmt::format("a zstd frame does not announce the {} bytes expected", content_bytes));
  if (content_bytes > limits::kArtifactBytesMax)
    return fail(ErrorCode::kArtifact, fmt::format("a zstd frame of {} bytes, {} are allowed",
                                                  content_bytes, limits::kArtifactBytesMax));
  if (header.windowSize > 1ULL << limits::kZstdWindowLogMax)
    return fail(ErrorCode::kArtifact,
                fmt::format("a zstd frame asks for a window of {} bytes", header.windowSize));
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size())
    return fail(ErrorCode::kArtifact, "a zstd frame is cut short or followed by other bytes");
  return {};
}

// What one step takes in: two blocks, which zstd codes as soon as they are whole.
constexpr size_t kStepBytes = 256 << 10;

Result<size_t> compress_in_steps(ZSTD_CCtx* encoder, Bytes& out, ByteView content,
                                 const KeepGoing& keep_going) {
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  size_t size = ZSTD_CCtx_setPledgedSrcSize(encoder, content.size());
  do {
    if (!keep_going()) return fail(ErrorCode::kCancelled, "the compression was stopped");
    ZSTD_inBuffer from{content.data(), std::min(kStepBytes, content.size()), 0};
    content.remove_prefix(from.size);
    const auto end = content.empty() ? ZSTD_e_end : ZSTD_e_continue;
    if (!ZSTD_isError(size)) size = ZSTD_compressStream2(encoder, &to, &from, end);
    if (ZSTD_isError(size)) return size;
    NOTP_ASSERT(from.pos == from.size && (end == ZSTD_e_continue || size == 0),
                "room for all of a frame");
  } while (!content.empty());
  return to.pos;
}

}  // namespace

Result<Bytes> zstd_compress(ByteView content, ByteView prefix, const ZstdOptions& options) {
  const Encoder encoder(ZSTD_createCCtx());
  NOTP_ASSERT(encoder, "out of memory");
  set(encoder.get(), ZSTD_c_compressionLevel, options.level);
  set(encoder.get(), ZSTD_c_checksumFlag, 0);
  set(encoder.get(), ZSTD_c_contentSizeFlag, 1);
  set(encoder.get(), ZSTD_c_dictIDFlag, 0);
  if (!prefix.empty()) {
    const int span = static_cast<int>(std::bit_width(prefix.size() + content.size()));
    const int window = options.window_log ? options.window_log : std::max(span, 10);
    set(encoder.get(), ZSTD_c_windowLog, std::min(window, limits::kZstdWindowLogMax));
    set(encoder.get(), ZSTD_c_enableLongDistanceMatching, options.long_distance ? 1 : 0);
    ZSTD_CCtx_refPrefix(encoder.get(), prefix.data(), prefix.size());
  }
  Bytes out(ZSTD_compressBound(content.size()), '\0');
  size_t size = 0;
  if (options.keep_going == nullptr) {
    size = ZSTD_compress2(encoder.get(), out.data(), out.size(), content.data(), content.size());
  } else {
    NOTP_ASSIGN(size, compress_in_steps(encoder.get(), out, content, *options.keep_going));
  }
  if (ZSTD_isError(size))
    return fail(ErrorCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(size)));
  out.resize(size);
  return out;
}

Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes) {
  NOTP_TRY(check_header(frame, content_bytes));
  const Decoder decoder(ZSTD_createDCtx());
  NOTP_ASSERT(decoder, "out of memory");
  ZSTD_DCtx_setParameter(decoder.get(), ZSTD_d_windowLogMax, limits::kZstdWindowLogMax);
  if (!prefix.empty()) ZSTD_DCtx_refPrefix(decoder.get(), prefix.data(), prefix.size());
  Bytes out(content_bytes, '\0');
  const size_t size =
      ZSTD_decompressDCtx(decoder.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size))
    return fail(ErrorCode::kArtifact,
                fmt::format("a damaged zstd frame: {}", ZSTD_getErrorName(size)));
  if (size != content_bytes)
    return fail(ErrorCode::kArtifact, "a zstd frame holds another size than it announces");
  return out;
}

}  // namespace notp
