#include "notp-server/audit/segment_head.hpp"

#include <algorithm>

#include "common/zstd.hpp"
#include "notp-server/audit/audit_limits.hpp"

namespace notp::audit {
namespace {

// Version ‖ three parts, each as size of the content ‖ size of the frame ‖ zstd frame:
//   shapes   their number, each as kind ‖ outcome ‖ path ‖ ledger; then each record's, in one
//            byte, or in two, low one first, where there are more than 256. Kind 255: the record
//            is gone; it has the time and the active record of the one before
//   times    each as difference to the one before
//   active   the same
constexpr char kVersion = 1;
constexpr uint8_t kClosedKind = 255;
constexpr size_t kByteShapesMax = 256;

uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t unzigzag(uint64_t value) { return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1)); }
// Positions and times of hostile records may be anything: the differences wrap.
int64_t difference(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b); }

void put_text(Bytes& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

Result<ByteView> take_text(ByteView& in) {
  NOTP_ASSIGN(const uint64_t size, take_varint(in));
  return take_bytes(in, size);
}

Result<void> put_part(Bytes& out, ByteView content) {
  NOTP_ASSIGN(const Bytes frame, zstd_compress(content, {}, {.level = limits::kSegmentLevel}));
  put_varint(out, content.size());
  put_varint(out, frame.size());
  out += frame;
  return {};
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::kCorrupt, "the head of a segment is damaged: " + std::string(what) +
                                       "; restore the day's file from a backup");
}

// Takes `count` differences, and nothing must follow.
template <typename T>
Result<std::vector<T>> take_differences(ByteView in, size_t count) {
  std::vector<T> out;
  out.reserve(count);
  uint64_t last = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto step = take_varint(in);
    if (!step) return damaged("a column is cut short");
    last += static_cast<uint64_t>(unzigzag(*step));
    out.push_back(static_cast<T>(last));
  }
  if (!in.empty()) return damaged("a column is too long");
  return out;
}

}  // namespace

int64_t head_time_us(int64_t time_ns) {
  const int64_t us = time_ns / 1'000;
  return time_ns % 1'000 < 0 ? us - 1 : us;
}

RecordShape shape_of(const record::Record& record) {
  RecordShape shape{.kind = record.kind()};
  if (const auto* decision = std::get_if<record::DecisionContent>(&record.content)) {
    shape.outcome = decision->outcome;
    shape.path = std::string_view(decision->path).substr(0, limits::kHeadPathBytesMax);
    shape.ledger = std::string_view(decision->ledger).substr(0, limits::kHeadLedgerBytesMax);
  }
  return shape;
}

void HeadBuilder::add_shape(uint8_t kind, const RecordShape& shape) {
  const auto [at, is_new] = known_.try_emplace(
      Key{kind, shape.outcome, std::string(shape.path), std::string(shape.ledger)},
      static_cast<uint16_t>(known_.size()));
  if (is_new) {
    dictionary_ += static_cast<char>(kind);
    dictionary_ += static_cast<char>(shape.outcome);
    put_text(dictionary_, shape.path);
    put_text(dictionary_, shape.ledger);
  }
  shapes_.push_back(at->second);
}

void HeadBuilder::add(const record::Record& record) {
  const RecordShape shape = shape_of(record);
  add_shape(static_cast<uint8_t>(shape.kind), shape);
  const int64_t time_us = head_time_us(record.time_ns);
  put_varint(times_, zigzag(difference(static_cast<uint64_t>(time_us),
                                       static_cast<uint64_t>(last_time_us_))));
  last_time_us_ = time_us;
  put_varint(active_, zigzag(difference(record.place.active, last_active_)));
  last_active_ = record.place.active;
}

void HeadBuilder::add_closed() {
  add_shape(kClosedKind, {});
  put_varint(times_, 0);
  put_varint(active_, 0);
}

Result<Bytes> HeadBuilder::build() const {
  if (shapes_.size() > limits::kSegmentRecordsMax)
    return fail(ErrorCode::kInternal, "the head of a segment has too many records");
  Bytes shapes;
  put_varint(shapes, known_.size());
  shapes += dictionary_;
  const bool is_wide = known_.size() > kByteShapesMax;
  for (const uint16_t shape : shapes_) {
    shapes += static_cast<char>(shape & 0xff);
    if (is_wide) shapes += static_cast<char>(shape >> 8);
  }
  Bytes out(1, kVersion);
  NOTP_TRY(put_part(out, shapes));
  NOTP_TRY(put_part(out, times_));
  NOTP_TRY(put_part(out, active_));
  return out;
}

Result<HeadColumns::Part> HeadColumns::take_part(ByteView& in) {
  const auto content_bytes = take_varint(in);
  const auto frame_bytes = content_bytes ? take_varint(in) : content_bytes;
  if (!frame_bytes || *content_bytes > limits::kHeadPartBytesMax)
    return damaged("the size of a part");
  const auto frame = take_bytes(in, *frame_bytes);
  if (!frame) return damaged("a part is cut short");
  return Part{*frame, *content_bytes};
}

Result<Bytes> HeadColumns::content_of(const Part& part) {
  auto content = zstd_decompress(part.frame, {}, part.content_bytes);
  if (!content) return damaged(content.error().message);
  return content;
}

Result<HeadColumns> HeadColumns::decode(ByteView head, size_t count) {
  if (head.empty() || head[0] != kVersion) return damaged("its version is unknown");
  head.remove_prefix(1);
  HeadColumns out;
  NOTP_ASSIGN(const Part shapes, take_part(head));
  NOTP_ASSIGN(out.times_, take_part(head));
  NOTP_ASSIGN(out.active_, take_part(head));
  if (!head.empty()) return damaged("bytes follow it");
  NOTP_TRY(out.read_shapes(shapes, count));
  return out;
}

Result<void> HeadColumns::read_shapes(const Part& part, size_t count) {
  NOTP_ASSIGN(Bytes content, content_of(part));
  dictionary_ = std::make_unique<Bytes>(std::move(content));
  ByteView in = *dictionary_;
  const auto shapes = take_varint(in);
  if (!shapes || *shapes > limits::kSegmentRecordsMax) return damaged("the number of shapes");
  shapes_.reserve(*shapes);
  for (uint64_t i = 0; i < *shapes; ++i) {
    const auto numbers = take_bytes(in, 2);
    const auto path = numbers ? take_text(in) : numbers;
    const auto ledger = path ? take_text(in) : path;
    if (!ledger) return damaged("a shape is cut short");
    const auto kind = static_cast<uint8_t>((*numbers)[0]);
    const auto outcome = static_cast<uint8_t>((*numbers)[1]);
    const bool is_closed = kind == kClosedKind;
    if ((kind > static_cast<uint8_t>(record::Kind::kDropped) && !is_closed) ||
        outcome >= record::kOutcomes)
      return damaged("a kind or an outcome is unknown");
    shapes_.push_back({is_closed ? record::Kind::kDecision : static_cast<record::Kind>(kind),
                       static_cast<record::Outcome>(outcome), *path, *ledger, is_closed});
  }
  const size_t width = *shapes > kByteShapesMax ? 2 : 1;
  if (in.size() != count * width) return damaged("it is about another number of records");
  shape_of_record_.resize(count);
  uint16_t highest = 0;
  for (size_t i = 0; i < count; ++i) {
    uint16_t shape = static_cast<uint8_t>(in[i * width]);
    if (width == 2) shape |= static_cast<uint16_t>(static_cast<uint8_t>(in[i * width + 1]) << 8);
    highest = std::max(highest, shape);
    shape_of_record_[i] = shape;
  }
  if (count != 0 && highest >= *shapes) return damaged("a record's shape is unknown");
  return {};
}

Result<std::vector<int64_t>> HeadColumns::times_us() const {
  NOTP_ASSIGN(const Bytes content, content_of(times_));
  return take_differences<int64_t>(content, shape_of_record_.size());
}

Result<std::vector<record::Position>> HeadColumns::active() const {
  NOTP_ASSIGN(const Bytes content, content_of(active_));
  return take_differences<record::Position>(content, shape_of_record_.size());
}

}  // namespace notp::audit
