#include "common/zstd.hpp"

#define ZSTD_STATIC_LINKING_ONLY  // ZSTD_getFrameHeader
#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>

#include "common/assert.hpp"
#include "common/c_ptr.hpp"
#include "common/limits.hpp"

namespace notp {
namespace {

using Encoder = CPointer<ZSTD_CCtx, ZSTD_freeCCtx>;
using Decoder = CPointer<ZSTD_DCtx, ZSTD_freeDCtx>;

void set(ZSTD_CCtx* encoder, ZSTD_cParameter parameter, int value) {
  NOTP_ASSERT(!ZSTD_isError(ZSTD_CCtx_setParameter(encoder, parameter, value)),
              "a zstd parameter out of its range");
}

// Checks the header first: the decoder would otherwise allocate what six bytes declare.
Result<void> check_header(ByteView frame, uint64_t content_bytes, int window_log_max) {
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
  if (header.windowSize > 1ULL << window_log_max)
    return fail(ErrorCode::kArtifact,
                fmt::format("a zstd frame asks for a window of {} bytes", header.windowSize));
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size())
    return fail(ErrorCode::kArtifact, "a zstd frame is cut short or followed by other bytes");
  return {};
}

std::unexpected<Error> damaged(size_t zstd_error) {
  return fail(ErrorCode::kArtifact,
              fmt::format("a damaged zstd frame: {}", ZSTD_getErrorName(zstd_error)));
}

// Making a context costs more than coding a small frame, so each thread keeps one of each kind.
// This decoder, some 160 KB, writes into its caller's memory and never has a window of its own.
ZSTD_DCtx* decoder_of_this_thread() {
  thread_local const Decoder decoder(ZSTD_createDCtx());
  NOTP_ASSERT(decoder, "out of memory");
  ZSTD_DCtx_reset(decoder.get(), ZSTD_reset_session_and_parameters);
  return decoder.get();
}

// What an encoder holds follows from the size of its input: at most some 2 MB, at any level, for
// inputs up to this.
constexpr size_t kSmallInputBytes = 64 << 10;

ZSTD_CCtx* encoder_of_this_thread() {
  thread_local const Encoder encoder(ZSTD_createCCtx());
  NOTP_ASSERT(encoder, "out of memory");
  ZSTD_CCtx_reset(encoder.get(), ZSTD_reset_session_and_parameters);
  return encoder.get();
}

// Decodes a whole frame whose header was checked.
Result<void> decode(ByteView frame, ByteView prefix, std::span<char> out) {
  ZSTD_DCtx* const decoder = decoder_of_this_thread();
  ZSTD_DCtx_setParameter(decoder, ZSTD_d_windowLogMax, limits::kZstdWindowLogMax);
  if (!prefix.empty()) ZSTD_DCtx_refPrefix(decoder, prefix.data(), prefix.size());
  const size_t size =
      ZSTD_decompressDCtx(decoder, out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) return damaged(size);
  if (size != out.size())
    return fail(ErrorCode::kArtifact, "a zstd frame holds another size than it announces");
  return {};
}

// Input of one step: two blocks, which zstd codes as soon as they are complete.
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
  const bool is_small = content.size() + prefix.size() <= kSmallInputBytes;
  const Encoder own(is_small ? nullptr : ZSTD_createCCtx());
  NOTP_ASSERT(is_small || own, "out of memory");
  ZSTD_CCtx* const encoder = is_small ? encoder_of_this_thread() : own.get();
  set(encoder, ZSTD_c_compressionLevel, options.level);
  set(encoder, ZSTD_c_checksumFlag, 0);
  set(encoder, ZSTD_c_contentSizeFlag, 1);
  set(encoder, ZSTD_c_dictIDFlag, 0);
  int window = options.window_log;
  if (!prefix.empty()) {
    const int span = static_cast<int>(std::bit_width(prefix.size() + content.size()));
    if (window == 0) window = std::min(std::max(span, 10), limits::kZstdWindowLogMax);
    set(encoder, ZSTD_c_enableLongDistanceMatching, options.long_distance ? 1 : 0);
    ZSTD_CCtx_refPrefix(encoder, prefix.data(), prefix.size());
  }
  if (window != 0) set(encoder, ZSTD_c_windowLog, window);
  Bytes out;
  size_t size = 0;
  const size_t bound = ZSTD_compressBound(content.size());
  if (options.keep_going == nullptr) {
    const auto encode = [&](char* at, size_t bytes) {
      size = ZSTD_compress2(encoder, at, bytes, content.data(), content.size());
      return ZSTD_isError(size) ? 0 : size;
    };
    out.resize_and_overwrite(std::min(options.frame_bytes_max, bound), encode);
    if (ZSTD_isError(size) && ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall)
      return Bytes();
  } else {
    out.resize(bound);
    NOTP_ASSIGN(size, compress_in_steps(encoder, out, content, *options.keep_going));
    if (!ZSTD_isError(size) && size > options.frame_bytes_max) return Bytes();
    if (!ZSTD_isError(size)) out.resize(size);
  }
  if (ZSTD_isError(size))
    return fail(ErrorCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(size)));
  out.shrink_to_fit();
  return out;
}

Result<void> zstd_decompress_into(ByteView frame, ByteView prefix, std::span<char> out) {
  NOTP_TRY(check_header(frame, out.size(), limits::kZstdWindowLogMax));
  return decode(frame, prefix, out);
}

Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes) {
  return zstd_decompress(frame, prefix, content_bytes, limits::kZstdWindowLogMax);
}

Result<Bytes> zstd_decompress(ByteView frame, ByteView prefix, uint64_t content_bytes,
                              int window_log_max) {
  NOTP_TRY(check_header(frame, content_bytes, window_log_max));
  Bytes out;
  Result<void> outcome;
  // libstdc++ 12 passes the new capacity instead of the requested size.
  out.resize_and_overwrite(content_bytes, [&](char* at, size_t) {
    outcome = decode(frame, prefix, {at, content_bytes});
    return outcome ? content_bytes : 0;
  });
  NOTP_TRY(outcome);
  return out;
}

std::optional<uint64_t> zstd_content_bytes(ByteView frame) {
  const unsigned long long size = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
  return size;
}

struct ZstdReader::State {
  Decoder decoder;
  ZSTD_inBuffer in;
  uint64_t left_bytes;  // of the content
  bool ended = false;
};

ZstdReader::ZstdReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZstdReader::~ZstdReader() = default;
ZstdReader::ZstdReader(ZstdReader&&) noexcept = default;
ZstdReader& ZstdReader::operator=(ZstdReader&&) noexcept = default;

Result<ZstdReader> ZstdReader::open(ByteView frame, uint64_t content_bytes, int window_log_max) {
  NOTP_TRY(check_header(frame, content_bytes, window_log_max));
  Decoder decoder(ZSTD_createDCtx());
  NOTP_ASSERT(decoder, "out of memory");
  ZSTD_DCtx_setParameter(decoder.get(), ZSTD_d_windowLogMax, window_log_max);
  return ZstdReader(std::make_unique<State>(
      std::move(decoder), ZSTD_inBuffer{frame.data(), frame.size(), 0}, content_bytes));
}

Result<size_t> ZstdReader::read(std::span<char> out) {
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (!state_->ended && to.pos < to.size) {
    const size_t before = state_->in.pos + to.pos;
    const size_t left = ZSTD_decompressStream(state_->decoder.get(), &to, &state_->in);
    if (ZSTD_isError(left)) return damaged(left);
    state_->ended = left == 0;
    if (!state_->ended && state_->in.pos + to.pos == before)
      return fail(ErrorCode::kArtifact, "a zstd frame has no end");
  }
  if (to.pos > state_->left_bytes)
    return fail(ErrorCode::kArtifact, "a zstd frame holds another size than it announces");
  state_->left_bytes -= to.pos;
  return to.pos;
}

}  // namespace notp
