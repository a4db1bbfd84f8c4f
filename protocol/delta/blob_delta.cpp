#include "protocol/delta/blob_delta.hpp"

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/blob_match.hpp"
#include "protocol/delta/blob_streams.hpp"
#include "protocol/delta/zigzag.hpp"

namespace notp::delta {
namespace {

// A zstd frame of fewer bytes is never shorter than its content.
constexpr size_t kCompressBytesMin = 24;
// The streams are small compared to the content: a high level costs little.
constexpr int kStreamLevelMin = 19;
constexpr size_t kLongStreamBytes = 2 << 20;
constexpr int kLongStreamLevelMin = 9;

Result<void> put_stream(Bytes& out, ByteView raw, ByteView context,
                        const EncodingTier& encoding_tier, int window_log) {
  const bool is_long = raw.size() > kLongStreamBytes;
  Bytes coded;
  if (raw.size() >= kCompressBytesMin) {
    ZstdOptions options;
    options.level = std::max(encoding_tier.level, is_long ? kLongStreamLevelMin : kStreamLevelMin);
    options.window_log = window_log;
    options.frame_bytes_max = raw.size() - 1;
    options.keep_going = encoding_tier.keep_going;
    NOTP_ASSIGN(coded, zstd_compress(raw, context, options));
  }
  const bool compressed = !coded.empty();
  put_varint(out, raw.size() << 1 | (compressed ? 1 : 0));
  if (compressed) put_varint(out, coded.size());
  out += compressed ? ByteView(coded) : raw;
  return {};
}

// The copies as numbers, and the remaining literals of the middle.
struct Streams {
  Bytes lengths, gaps, offsets;
  Bytes literals_between;
  ByteView literals;
  std::vector<uint32_t> copy_ends;  // in the base
};

Streams streams_of(const std::vector<Copy>& copies, uint64_t front_bytes, ByteView middle) {
  Streams out;
  uint64_t source = front_bytes, at = 0;
  for (const Copy& copy : copies) {
    const uint64_t from = front_bytes + copy.from;
    put_varint(out.gaps, copy.literal_bytes);
    put_varint(out.lengths, copy.bytes - kCopyBytesMin);
    const int64_t distance =
        static_cast<int64_t>(from) - static_cast<int64_t>(source + copy.literal_bytes);
    put_varint(out.offsets, distance == 0    ? kInPlace
                            : from == source ? kBehindLast
                                             : kFirstDistance + zigzag(distance));
    out.literals_between += middle.substr(at, copy.literal_bytes);
    at += uint64_t{copy.literal_bytes} + copy.bytes;
    source = from + copy.bytes;
    if (copies.size() <= kContextCopiesMax) out.copy_ends.push_back(static_cast<uint32_t>(source));
  }
  if (copies.empty()) {
    out.literals = middle;
  } else {
    out.literals_between += middle.substr(at);
    out.literals = out.literals_between;
  }
  return out;
}

}  // namespace

Result<Bytes> encode_blob_delta(ByteView base, ByteView target, const EncodingTier& encoding_tier) {
  NOTP_ASSERT(std::max(base.size(), target.size()) <= limits::kBlobBytesMax, "too large a content");
  Frame frame;
  frame.front_bytes = common_prefix(base, target);
  frame.end_bytes = common_suffix(base.substr(frame.front_bytes), target.substr(frame.front_bytes));
  Bytes out;
  put_varint(out, frame.front_bytes);
  put_varint(out, frame.end_bytes);
  const ByteView middle = target.substr(frame.front_bytes, frame.middle(target.size()));
  if (middle.empty()) return out;

  const std::vector<Copy> copies =
      find_copies(base.substr(frame.front_bytes, frame.middle(base.size())), middle);
  const Streams streams = streams_of(copies, frame.front_bytes, middle);
  for (const ByteView numbers : {streams.lengths, streams.gaps, streams.offsets})
    NOTP_TRY(put_stream(out, numbers, {}, encoding_tier, limits::kDeltaWindowLogMax));
  const Bytes context =
      literal_context(base, frame, copies.size(), streams.copy_ends, streams.literals.size());
  NOTP_TRY(put_stream(out, streams.literals, context, encoding_tier, 0));
  return out;
}

}  // namespace notp::delta
