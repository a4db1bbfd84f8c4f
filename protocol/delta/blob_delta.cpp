#include "protocol/delta/blob_delta.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/blob_match.hpp"
#include "protocol/delta/zigzag.hpp"

namespace notp::delta {
namespace {

// A source, as the offsets stream names it: where the content goes on in place, right behind the
// last copy, or a distance from the former.
constexpr uint64_t kInPlace = 0;
constexpr uint64_t kBehindLast = 1;
constexpr uint64_t kFirstDistance = 2;

// Old bytes that literals are compressed against, in all and for each byte of them.
constexpr uint64_t kContextBytesMax = 128 << 10;
constexpr uint64_t kContextPerLiteral = 64;
// Below this, no zstd frame is shorter than what it holds.
constexpr size_t kCompressBytesMin = 24;
// The streams are a small part of what they stand for: a high level costs little.
constexpr int kStreamLevelMin = 19;
constexpr size_t kLongStreamBytes = 2 << 20;
constexpr int kLongStreamLevelMin = 9;

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kArtifact, fmt::format("a delta of a large content {}", what));
}

Result<uint64_t> take_number(ByteView& in) {
  const auto value = take_varint(in);
  if (!value) return malformed("has a wrong number: " + value.error().message);
  return *value;
}

// What base and target have in front and at the end, and what is between.
struct Frame {
  uint64_t front_bytes = 0, end_bytes = 0;

  uint64_t middle(uint64_t whole) const { return whole - front_bytes - end_bytes; }
};

// Old bytes around which the literals stand: what is in front of each literal, and then what is
// behind the last. Both sides make the same of the copies that they know.
Bytes context_of(ByteView base, const Frame& frame, const std::vector<Copy>& copies,
                 uint64_t literal_bytes) {
  const uint64_t all = std::min(kContextBytesMax, literal_bytes * kContextPerLiteral);
  const uint64_t share = all / (copies.size() + 2);
  Bytes out;
  out.reserve(all);
  const auto add_before = [&](uint64_t end) {
    const uint64_t bytes = std::min(share, end);
    out += base.substr(end - bytes, bytes);
  };
  out += base.substr(base.size() - frame.end_bytes, share);
  for (const Copy& copy : copies) add_before(uint64_t{copy.from} + copy.bytes);
  add_before(frame.front_bytes);
  return out;
}

Result<void> put_stream(Bytes& out, ByteView raw, ByteView context, const Effort& effort) {
  const bool is_long = raw.size() > kLongStreamBytes;
  Bytes coded;
  if (raw.size() >= kCompressBytesMin) {
    ZstdOptions options;
    options.level = std::max(effort.level, is_long ? kLongStreamLevelMin : kStreamLevelMin);
    options.keep_going = effort.keep_going;
    NOTP_ASSIGN(coded, zstd_compress(raw, context, options));
  }
  const bool compressed = !coded.empty() && coded.size() < raw.size();
  put_varint(out, raw.size() << 1 | (compressed ? 1 : 0));
  if (compressed) put_varint(out, coded.size());
  out += compressed ? ByteView(coded) : raw;
  return {};
}

// One stream as it stands in the coded bytes.
struct Stream {
  uint64_t raw_bytes = 0;
  bool compressed = false;
  ByteView coded;

  Result<Bytes> decode(ByteView context) const {
    if (!compressed) return Bytes(coded);
    return zstd_decompress(coded, context, raw_bytes);
  }
};

Result<Stream> take_stream(ByteView& in, uint64_t raw_bytes_max) {
  NOTP_ASSIGN(const uint64_t head, take_number(in));
  Stream out{head >> 1, (head & 1) != 0, {}};
  if (out.raw_bytes > raw_bytes_max) return malformed("has a stream of more bytes than it makes");
  uint64_t coded_bytes = out.raw_bytes;
  if (out.compressed) {
    NOTP_ASSIGN(coded_bytes, take_number(in));
    if (coded_bytes >= out.raw_bytes) return malformed("has a stream that grew");
  }
  const auto coded = take_bytes(in, coded_bytes);
  if (!coded) return malformed("is cut short");
  out.coded = *coded;
  return out;
}

// Turns the streams of lengths and offsets into copies, each within what the base has and all of
// them within the `middle_bytes` to make.
class CopyReader {
 public:
  CopyReader(ByteView gaps, ByteView lengths, ByteView offsets)
      : gaps_(gaps), lengths_(lengths), offsets_(offsets) {}

  Result<std::vector<Copy>> run(uint64_t base_bytes, const Frame& frame, uint64_t middle_bytes) {
    std::vector<Copy> out;
    out.reserve(std::min<uint64_t>(lengths_.size(), middle_bytes / kCopyBytesMin));
    uint64_t left = middle_bytes, source = frame.front_bytes;
    while (!lengths_.empty()) {
      NOTP_ASSIGN(const uint64_t gap, take_number(gaps_));
      if (gap > left) return malformed("makes more bytes than announced");
      left -= gap;
      NOTP_ASSIGN(const uint64_t more, take_number(lengths_));
      if (left < kCopyBytesMin || more > left - kCopyBytesMin)
        return malformed("makes more bytes than announced");
      const uint64_t bytes = more + kCopyBytesMin;
      left -= bytes;
      NOTP_ASSIGN(const uint64_t offset, take_number(offsets_));
      const uint64_t from = source_of(offset, source, gap, base_bytes);
      if (from > base_bytes || bytes > base_bytes - from)
        return malformed("copies what the base does not have");
      out.push_back(
          {static_cast<uint32_t>(gap), static_cast<uint32_t>(bytes), static_cast<uint32_t>(from)});
      source = from + bytes;
    }
    if (!gaps_.empty() || !offsets_.empty()) return malformed("has streams of different lengths");
    return out;
  }

 private:
  // Over base_bytes when the offset leads out of the base.
  static uint64_t source_of(uint64_t offset, uint64_t source, uint64_t gap, uint64_t base_bytes) {
    if (offset == kBehindLast) return source;
    if (offset == kInPlace) return source + gap;
    if (offset - kFirstDistance > 4 * limits::kBlobBytesMax) return base_bytes + 1;
    const int64_t from = static_cast<int64_t>(source + gap) + unzigzag(offset - kFirstDistance);
    return from < 0 ? base_bytes + 1 : static_cast<uint64_t>(from);
  }

  ByteView gaps_, lengths_, offsets_;
};

}  // namespace

Result<Bytes> encode_blob_delta(ByteView base, ByteView target, const Effort& effort) {
  NOTP_ASSERT(std::max(base.size(), target.size()) <= limits::kBlobBytesMax, "too large a content");
  Frame frame;
  frame.front_bytes = common_prefix(base, target);
  frame.end_bytes = common_suffix(base.substr(frame.front_bytes), target.substr(frame.front_bytes));
  const ByteView middle = target.substr(frame.front_bytes, frame.middle(target.size()));
  std::vector<Copy> copies =
      find_copies(base.substr(frame.front_bytes, frame.middle(base.size())), middle);

  Bytes gaps, lengths, offsets, literals;
  uint64_t source = frame.front_bytes, at = 0;
  for (Copy& copy : copies) {
    copy.from += static_cast<uint32_t>(frame.front_bytes);
    put_varint(gaps, copy.literal_bytes);
    put_varint(lengths, copy.bytes - kCopyBytesMin);
    const int64_t distance =
        static_cast<int64_t>(copy.from) - static_cast<int64_t>(source + copy.literal_bytes);
    put_varint(offsets, distance == 0         ? kInPlace
                        : copy.from == source ? kBehindLast
                                              : kFirstDistance + zigzag(distance));
    literals += middle.substr(at, copy.literal_bytes);
    at += uint64_t{copy.literal_bytes} + copy.bytes;
    source = uint64_t{copy.from} + copy.bytes;
  }
  literals += middle.substr(at);

  Bytes out;
  put_varint(out, frame.front_bytes);
  put_varint(out, frame.end_bytes);
  if (middle.empty()) return out;
  NOTP_TRY(put_stream(out, lengths, {}, effort));
  NOTP_TRY(put_stream(out, gaps, {}, effort));
  NOTP_TRY(put_stream(out, offsets, {}, effort));
  NOTP_TRY(put_stream(out, literals, context_of(base, frame, copies, literals.size()), effort));
  return out;
}

Result<Bytes> decode_blob_delta(ByteView coded, ByteView base, uint64_t target_bytes) {
  const uint64_t common_max = std::min<uint64_t>(base.size(), target_bytes);
  Frame frame;
  NOTP_ASSIGN(frame.front_bytes, take_number(coded));
  NOTP_ASSIGN(frame.end_bytes, take_number(coded));
  if (frame.front_bytes > common_max || frame.end_bytes > common_max - frame.front_bytes)
    return malformed("keeps more bytes than there are");
  const uint64_t middle_bytes = frame.middle(target_bytes);
  Bytes out;
  std::vector<Copy> copies;
  Bytes literals;
  if (middle_bytes != 0) {
    NOTP_ASSIGN(const Stream length_stream, take_stream(coded, middle_bytes));
    NOTP_ASSIGN(const Stream gap_stream, take_stream(coded, middle_bytes));
    NOTP_ASSIGN(const Stream offset_stream, take_stream(coded, middle_bytes));
    NOTP_ASSIGN(const Stream literal_stream, take_stream(coded, middle_bytes));
    NOTP_ASSIGN(const Bytes lengths, length_stream.decode({}));
    NOTP_ASSIGN(const Bytes gaps, gap_stream.decode({}));
    NOTP_ASSIGN(const Bytes offsets, offset_stream.decode({}));
    NOTP_ASSIGN(copies, CopyReader(gaps, lengths, offsets).run(base.size(), frame, middle_bytes));
    uint64_t copied = 0;
    for (const Copy& copy : copies) copied += copy.bytes;
    if (literal_stream.raw_bytes != middle_bytes - copied)
      return malformed("has another number of literal bytes than it needs");
    Bytes context;
    if (literal_stream.compressed)
      context = context_of(base, frame, copies, literal_stream.raw_bytes);
    NOTP_ASSIGN(literals, literal_stream.decode(context));
  }
  if (!coded.empty()) return malformed("is followed by other bytes");

  out.reserve(target_bytes);
  out += base.substr(0, frame.front_bytes);
  ByteView rest = literals;
  for (const Copy& copy : copies) {
    out += rest.substr(0, copy.literal_bytes);
    rest.remove_prefix(copy.literal_bytes);
    out += base.substr(copy.from, copy.bytes);
  }
  out += rest;
  out += base.substr(base.size() - frame.end_bytes);
  return out;
}

}  // namespace notp::delta
