#include "protocol/record/segment.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/record/record.hpp"

namespace notp::record {
namespace {

// Of one record in a reduced segment.
constexpr char kClosed = 0, kOpened = 1;

std::unexpected<Error> refuse(const SegmentHead& head, std::string_view why) {
  return fail(ErrorCode::kMessage,
              fmt::format("the segment from position {}: {}", head.first, why));
}

size_t varint_bytes(uint64_t value) {
  size_t bytes = 1;
  for (; value > 0x7F; value >>= 7) ++bytes;
  return bytes;
}

Result<void> check_numbers(const SegmentHead& head) {
  if (head.count == 0 || head.count > limits::kSegmentRecordsMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the segment from position {} has {} records, 1 to {} are allowed",
                            head.first, head.count, limits::kSegmentRecordsMax));
  if (head.first > limits::kPositionMax - head.count)
    return refuse(head, "it would end beyond the last position");
  if (head.content_bytes > limits::kSegmentContentBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the segment from position {} has {} bytes of records, at most {} are "
                            "allowed",
                            head.first, head.content_bytes, limits::kSegmentContentBytesMax));
  return {};
}

Result<Bytes> decompress(const SegmentHead& head, ByteView body, uint64_t content_bytes) {
  auto content = zstd_decompress(body, {}, content_bytes, limits::kSegmentWindowLogMax);
  if (content) return content;
  return std::unexpected(
      std::move(content).error().in(fmt::format("the segment from position {}", head.first)));
}

Result<ByteView> take_record(ByteView& in, const SegmentHead& head, size_t index) {
  const Position position = head.first + index;
  const auto size = take_varint(in);
  if (!size || *size == 0)
    return refuse(head, fmt::format("the length of record {} is not one", position));
  if (*size > limits::kRecordBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the record at position {} has {} bytes, at most {} are allowed",
                            position, *size, limits::kRecordBytesMax));
  const auto record = take_bytes(in, *size);
  if (!record) return refuse(head, fmt::format("record {} is cut short", position));
  return *record;
}

Result<void> check_end(ByteView rest, const SegmentHead& head) {
  if (rest.empty()) return {};
  return refuse(head, fmt::format("{} bytes follow its {} records", rest.size(), head.count));
}

}  // namespace

// --- builder

SegmentBuilder::SegmentBuilder(Position first, Bytes secret)
    : first_(first), secret_(std::move(secret)) {
  NOTP_ASSERT(secret_.size() == kSegmentSecretBytes, "a segment's secret has its size");
}

void SegmentBuilder::expect(size_t records, size_t bytes) {
  constexpr size_t kLengthBytes = 4;  // of kRecordBytesMax
  leaves_.reserve(records);
  content_.reserve(bytes + records * kLengthBytes);
}

void SegmentBuilder::add(ByteView record) {
  leaves_.push_back(leaf_hash(leaf_salt(secret_, first_ + leaves_.size()), record));
  put_varint(content_, record.size());
  content_ += record;
}

void SegmentBuilder::add(ByteView record, Frontier& tree) {
  add(record);
  tree.append(leaves_.back());
}

bool SegmentBuilder::is_full_for(size_t bytes) const {
  if (leaves_.empty()) return false;
  return leaves_.size() >= limits::kSegmentRecordsMax ||
         content_.size() + varint_bytes(bytes) + bytes > limits::kSegmentContentBytesMax;
}

Result<Segment> SegmentBuilder::seal(const LogId& log, const Frontier& tree, std::string origin,
                                     const PrivateKey& key) && {
  NOTP_ASSERT(!leaves_.empty() && tree.size() == first_ + count(),
              "a segment has records, and the tree ends with them");
  Segment out;
  out.head.log = log;
  out.head.first = first_;
  out.head.count = count();
  out.head.content_bytes = content_.size();
  NOTP_ASSIGN(out.body, zstd_compress(content_, {}, {.level = limits::kSegmentLevel}));
  out.head.secret = std::move(secret_);
  out.head.checkpoint = sign_checkpoint({std::move(origin), tree.size(), tree.root()}, key);
  content_.clear();
  leaves_.clear();
  return out;
}

// --- reader

Result<OpenedSegment> OpenedSegment::open(const SegmentHead& head, ByteView body) {
  NOTP_TRY(check_numbers(head));
  if (head.secret.size() != kSegmentSecretBytes)
    return refuse(head, fmt::format("its secret is not {} bytes", kSegmentSecretBytes));
  NOTP_ASSIGN(Bytes content, decompress(head, body, head.content_bytes));
  OpenedSegment out;
  out.content_ = std::make_unique<Bytes>(std::move(content));
  ByteView rest = *out.content_;
  out.records_.reserve(head.count);
  for (uint32_t i = 0; i < head.count; ++i) {
    NOTP_ASSIGN(const ByteView record, take_record(rest, head, i));
    out.records_.push_back(record);
  }
  NOTP_TRY(check_end(rest, head));
  return out;
}

Result<void> check_places(const SegmentHead& head, const OpenedSegment& segment) {
  for (size_t i = 0; i < segment.records().size(); ++i) {
    const Position position = head.first + i;
    const auto start = decode_start(segment.records()[i]);
    if (!start)
      return refuse(head, fmt::format("at position {} is {}", position, start.error().message));
    if (start->place.position != position)
      return refuse(head, fmt::format("the record at position {} says that it is at {}", position,
                                      start->place.position));
  }
  return {};
}

std::vector<Hash> leaf_hashes(const SegmentHead& head, const OpenedSegment& segment) {
  std::vector<Hash> out;
  out.reserve(segment.records().size());
  for (const ByteView record : segment.records())
    out.push_back(leaf_hash(leaf_salt(head.secret, head.first + out.size()), record));
  return out;
}

// --- tree

namespace {

Result<Checkpoint> checkpoint_of(const SegmentHead& head, const PublicKey& log_key) {
  if (head.log != LogId::of(log_key))
    return refuse(head, fmt::format("its log {} is not that of the key", head.log.hex()));
  NOTP_ASSIGN(Checkpoint out, verify_checkpoint(head.checkpoint, log_key));
  if (!out.origin.ends_with("/" + head.log.hex()))
    return refuse(
        head, fmt::format("its checkpoint is of {}, not of log {}", out.origin, head.log.hex()));
  if (out.size != head.end())
    return refuse(head, fmt::format("its checkpoint is of {} records, and it ends at {}", out.size,
                                    head.end()));
  return out;
}

Result<Frontier> extended(const Frontier& tree, const Segment& segment,
                          const OpenedSegment* records) {
  Frontier out = tree;
  if (records == nullptr) {
    NOTP_TRY(out.extend(segment.head.count, segment.subtrees));
    return out;
  }
  if (records->records().size() != segment.head.count)
    return refuse(segment.head, fmt::format("{} records were opened, and its head says {}",
                                            records->records().size(), segment.head.count));
  for (const Hash& leaf : leaf_hashes(segment.head, *records)) out.append(leaf);
  return out;
}

}  // namespace

Result<Checkpoint> extend_tree(Frontier& tree, const Segment& segment, const OpenedSegment* records,
                               const PublicKey& log_key) {
  NOTP_TRY(check_numbers(segment.head));
  if (segment.head.first != tree.size())
    return refuse(segment.head, fmt::format("the log ends at {}", tree.size()));
  NOTP_ASSIGN(Checkpoint checkpoint, checkpoint_of(segment.head, log_key));
  NOTP_ASSIGN(Frontier next, extended(tree, segment, records));
  if (next.root() != checkpoint.root)
    return fail(ErrorCode::kLogFork,
                fmt::format("the records from position {} to {} of log {} are not those that its "
                            "checkpoint is over: the root of {} records is {}, signed is {}",
                            segment.head.first, segment.head.end(), segment.head.log.hex(),
                            next.size(), next.root().hex(), checkpoint.root.hex()));
  tree = std::move(next);
  return checkpoint;
}

// --- reduced segments

namespace {

void put_open(Bytes& out, ByteView salt, ByteView record) {
  out += kOpened;
  out += salt;
  put_varint(out, record.size());
  out += record;
}

void put_closed(Bytes& out, const Hash& leaf) {
  out += kClosed;
  out += leaf.view();
}

Result<ReducedRecord> take_reduced(ByteView& in, const SegmentHead& head, size_t index) {
  const auto kind = take_bytes(in, 1);
  if (!kind || (kind->front() != kClosed && kind->front() != kOpened))
    return refuse(
        head, fmt::format("reduced record {} is neither closed nor opened", head.first + index));
  const bool is_closed = kind->front() == kClosed;
  const auto hash_or_salt = take_bytes(in, is_closed ? Hash::kSize : kSaltBytes);
  if (!hash_or_salt)
    return refuse(head, fmt::format("reduced record {} is cut short", head.first + index));
  if (is_closed) {
    NOTP_ASSIGN(const Hash leaf, Hash::from_bytes(*hash_or_salt));
    return ReducedRecord{std::nullopt, leaf, {}};
  }
  NOTP_ASSIGN(const ByteView record, take_record(in, head, index));
  return ReducedRecord{Bytes(record), leaf_hash(*hash_or_salt, record), Bytes(*hash_or_salt)};
}

}  // namespace

Result<Bytes> reduce(const SegmentHead& head, const OpenedSegment& segment,
                     const std::function<bool(size_t index)>& may_see) {
  Bytes content;
  for (size_t i = 0; i < segment.records().size(); ++i) {
    const ByteView record = segment.records()[i];
    const Bytes salt = leaf_salt(head.secret, head.first + i);
    if (may_see(i))
      put_open(content, salt, record);
    else
      put_closed(content, leaf_hash(salt, record));
  }
  return zstd_compress(content, {}, {.level = limits::kSegmentLevel});
}

Result<Bytes> reduce(std::span<const ReducedRecord> records,
                     const std::function<bool(size_t index)>& may_see) {
  Bytes content;
  for (size_t i = 0; i < records.size(); ++i) {
    if (records[i].record && may_see(i))
      put_open(content, records[i].salt, *records[i].record);
    else
      put_closed(content, records[i].leaf);
  }
  return zstd_compress(content, {}, {.level = limits::kSegmentLevel});
}

Result<std::vector<ReducedRecord>> open_reduced(const SegmentHead& head, ByteView body) {
  NOTP_TRY(check_numbers(head));
  const auto content_bytes = zstd_content_bytes(body);
  const uint64_t content_max = head.content_bytes + head.count * (1 + Hash::kSize);
  if (!content_bytes || *content_bytes > content_max)
    return fail(ErrorCode::kArtifact,
                fmt::format("the reduced segment from position {} is not one zstd frame of at most "
                            "{} bytes",
                            head.first, content_max));
  NOTP_ASSIGN(const Bytes content, decompress(head, body, *content_bytes));
  ByteView rest = content;
  std::vector<ReducedRecord> out;
  for (uint32_t i = 0; i < head.count; ++i) {
    NOTP_ASSIGN(ReducedRecord record, take_reduced(rest, head, i));
    out.push_back(std::move(record));
  }
  NOTP_TRY(check_end(rest, head));
  return out;
}

}  // namespace notp::record
