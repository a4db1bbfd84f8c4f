// Decodes in bounded memory: the numbers are read twice and never held, the literals are decoded
// into the output.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/blob_delta.hpp"
#include "protocol/delta/blob_match.hpp"
#include "protocol/delta/blob_streams.hpp"
#include "protocol/delta/zigzag.hpp"

namespace notp::delta {
namespace {

constexpr size_t kVarintBytesMax = 10;
constexpr size_t kPieceBytes = 16 << 10;  // of a stream of numbers, decoded in one step

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kArtifact, fmt::format("a delta of a large content {}", what));
}

Result<uint64_t> take_number(ByteView& in) {
  const auto value = take_varint(in);
  if (!value) return malformed("has a wrong number: " + value.error().message);
  return *value;
}

// One stream of the coded bytes.
struct Stream {
  uint64_t raw_bytes = 0;
  bool compressed = false;
  ByteView coded;
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

struct Streams {
  Stream lengths, gaps, offsets, literals;
};

Result<Streams> take_streams(ByteView& in, uint64_t raw_bytes_max) {
  Streams out;
  for (Stream* stream : {&out.lengths, &out.gaps, &out.offsets, &out.literals}) {
    NOTP_ASSIGN(*stream, take_stream(in, raw_bytes_max));
  }
  return out;
}

// Reads the numbers of a stream in order.
class NumberReader {
 public:
  static Result<NumberReader> open(const Stream& stream) {
    NumberReader out;
    if (stream.compressed) {
      NOTP_ASSIGN(out.frame_,
                  ZstdReader::open(stream.coded, stream.raw_bytes, limits::kDeltaWindowLogMax));
      out.piece_.resize(std::min<uint64_t>(kPieceBytes, stream.raw_bytes));
    } else {
      out.left_ = stream.coded;
    }
    return out;
  }

  Result<bool> at_end() {
    if (left_.empty()) NOTP_TRY(refill());
    return left_.empty();
  }

  Result<uint64_t> next() {
    if (left_.size() < kVarintBytesMax) NOTP_TRY(refill());
    return take_number(left_);
  }

 private:
  NumberReader() = default;

  Result<void> refill() {
    if (!frame_) return {};
    const size_t kept = left_.size();
    std::ranges::copy(left_, piece_.begin());
    const std::span<char> room = std::span(piece_).subspan(kept);
    NOTP_ASSIGN(const size_t read, frame_->read(room));
    left_ = {piece_.data(), kept + read};
    if (read < room.size()) frame_.reset();
    return {};
  }

  std::optional<ZstdReader> frame_;  // until its end
  std::vector<char> piece_;
  ByteView left_;
};

// Reads the copies of a delta, each within the base and all of them within the middle.
class CopyReader {
 public:
  static Result<CopyReader> open(const Streams& streams, uint64_t base_bytes, const Frame& frame,
                                 uint64_t middle_bytes) {
    NOTP_ASSIGN(NumberReader lengths, NumberReader::open(streams.lengths));
    NOTP_ASSIGN(NumberReader gaps, NumberReader::open(streams.gaps));
    NOTP_ASSIGN(NumberReader offsets, NumberReader::open(streams.offsets));
    CopyReader out(std::move(lengths), std::move(gaps), std::move(offsets));
    out.base_bytes_ = base_bytes;
    out.source_ = frame.front_bytes;
    out.left_ = middle_bytes;
    return out;
  }

  // nullopt at the end.
  Result<std::optional<Copy>> next() {
    NOTP_ASSIGN(const bool no_length, lengths_.at_end());
    if (no_length) return finish();
    NOTP_ASSIGN(const uint64_t gap, gaps_.next());
    NOTP_ASSIGN(const uint64_t more, lengths_.next());
    if (gap > left_ || left_ - gap < kCopyBytesMin || more > left_ - gap - kCopyBytesMin)
      return malformed("makes more bytes than announced");
    const uint64_t bytes = more + kCopyBytesMin;
    left_ -= gap + bytes;
    NOTP_ASSIGN(const uint64_t offset, offsets_.next());
    const uint64_t from = source_of(offset, gap);
    if (from > base_bytes_ || bytes > base_bytes_ - from)
      return malformed("copies what the base does not have");
    source_ = from + bytes;
    return Copy{static_cast<uint32_t>(gap), static_cast<uint32_t>(bytes),
                static_cast<uint32_t>(from)};
  }

 private:
  CopyReader(NumberReader lengths, NumberReader gaps, NumberReader offsets)
      : lengths_(std::move(lengths)), gaps_(std::move(gaps)), offsets_(std::move(offsets)) {}

  Result<std::optional<Copy>> finish() {
    NOTP_ASSIGN(const bool no_gap, gaps_.at_end());
    NOTP_ASSIGN(const bool no_offset, offsets_.at_end());
    if (!no_gap || !no_offset) return malformed("has streams of different lengths");
    return std::nullopt;
  }

  // Returns more than base_bytes_ when the offset leads out of the base.
  uint64_t source_of(uint64_t offset, uint64_t gap) const {
    if (offset == kBehindLast) return source_;
    if (offset == kInPlace) return source_ + gap;
    if (offset - kFirstDistance > 4 * limits::kBlobBytesMax) return base_bytes_ + 1;
    const int64_t from = static_cast<int64_t>(source_ + gap) + unzigzag(offset - kFirstDistance);
    return from < 0 ? base_bytes_ + 1 : static_cast<uint64_t>(from);
  }

  NumberReader lengths_, gaps_, offsets_;
  uint64_t base_bytes_ = 0;
  uint64_t source_ = 0;  // end of the previous copy in the base
  uint64_t left_ = 0;    // of the middle
};

// The result of a first pass over all copies.
struct Survey {
  uint64_t copies = 0, copied_bytes = 0;
  std::vector<uint32_t> ends;  // in the base, unless there are more than the context uses
};

Result<Survey> survey(CopyReader copies) {
  Survey out;
  for (;;) {
    NOTP_ASSIGN(const std::optional<Copy> copy, copies.next());
    if (!copy) return out;
    ++out.copies;
    out.copied_bytes += copy->bytes;
    if (out.copies <= kContextCopiesMax)
      out.ends.push_back(copy->from + copy->bytes);
    else
      out.ends = {};
  }
}

// The two may overlap.
void move_to(char* out, ByteView bytes) {
  std::char_traits<char>::move(out, bytes.data(), bytes.size());
}

// Makes the middle. Compressed literals are first decoded to its very end: the bytes written in
// front never reach the remaining literals, because both add up to the middle.
Result<void> make_middle(const Stream& literal_stream, ByteView context, ByteView base,
                         CopyReader copies, std::span<char> out) {
  ByteView literals = literal_stream.coded;
  if (literal_stream.compressed) {
    const std::span<char> at = out.last(literal_stream.raw_bytes);
    NOTP_TRY(zstd_decompress_into(literal_stream.coded, context, at));
    literals = {at.data(), at.size()};
  }
  char* at = out.data();
  for (;;) {
    NOTP_ASSIGN(const std::optional<Copy> copy, copies.next());
    if (!copy) break;
    move_to(at, literals.substr(0, copy->literal_bytes));
    literals.remove_prefix(copy->literal_bytes);
    at += copy->literal_bytes;
    at += base.copy(at, copy->bytes, copy->from);
  }
  NOTP_ASSERT(at + literals.size() == out.data() + out.size(), "copies that changed");
  move_to(at, literals);
  return {};
}

}  // namespace

Result<Bytes> decode_blob_delta(ByteView coded, ByteView base, uint64_t target_bytes) {
  const uint64_t common_max = std::min<uint64_t>(base.size(), target_bytes);
  Frame frame;
  NOTP_ASSIGN(frame.front_bytes, take_number(coded));
  NOTP_ASSIGN(frame.end_bytes, take_number(coded));
  if (frame.front_bytes > common_max || frame.end_bytes > common_max - frame.front_bytes)
    return malformed("keeps more bytes than there are");
  const uint64_t middle_bytes = frame.middle(target_bytes);
  Streams streams;
  if (middle_bytes != 0) {
    NOTP_ASSIGN(streams, take_streams(coded, middle_bytes));
  }
  if (!coded.empty()) return malformed("is followed by other bytes");
  const auto copies = [&] { return CopyReader::open(streams, base.size(), frame, middle_bytes); };

  Bytes context;
  {
    NOTP_ASSIGN(CopyReader first_look, copies());
    NOTP_ASSIGN(const Survey seen, survey(std::move(first_look)));
    const uint64_t literal_bytes = middle_bytes - seen.copied_bytes;
    if (streams.literals.raw_bytes != literal_bytes)
      return malformed("has another number of literal bytes than it needs");
    if (streams.literals.compressed)
      context = literal_context(base, frame, seen.copies, seen.ends, literal_bytes);
  }
  NOTP_ASSIGN(CopyReader second_look, copies());
  Bytes out;
  Result<void> outcome;
  // libstdc++ 12 passes the new capacity instead of the requested size.
  out.resize_and_overwrite(target_bytes, [&](char* at, size_t) {
    base.copy(at, frame.front_bytes);
    outcome = make_middle(streams.literals, context, base, std::move(second_look),
                          {at + frame.front_bytes, middle_bytes});
    base.copy(at + target_bytes - frame.end_bytes, frame.end_bytes, base.size() - frame.end_bytes);
    return outcome ? target_bytes : 0;
  });
  NOTP_TRY(outcome);
  return out;
}

}  // namespace notp::delta
