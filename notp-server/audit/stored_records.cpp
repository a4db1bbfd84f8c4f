#include "notp-server/audit/stored_records.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "notp-server/audit/segment_head.hpp"
#include "notp-server/audit/segment_index.hpp"

namespace notp::audit {
namespace {

// Of one record in a reduced body (protocol/record/README.md).
constexpr char kClosed = 0, kOpened = 1;

std::unexpected<Error> damaged(const record::SegmentHead& head, std::string_view why) {
  return fail(ErrorCode::kMessage,
              fmt::format("the reduced segment from position {} is damaged: {}", head.first, why));
}

// The size of the content of a stored body.
Result<uint64_t> content_bytes_of(const StoredSegment& stored) {
  const record::SegmentHead& head = stored.segment.head;
  if (!stored.reduced) return head.content_bytes;
  const auto bytes = zstd_content_bytes(stored.segment.body);
  if (!bytes || *bytes > head.content_bytes + uint64_t{head.count} * (1 + Hash::kSize))
    return damaged(head, "its body is not one frame of a bounded size");
  return *bytes;
}

Result<Bytes> content_of(const StoredSegment& stored) {
  NOTP_ASSIGN(const uint64_t bytes, content_bytes_of(stored));
  return zstd_decompress(stored.segment.body, {}, bytes, limits::kSegmentWindowLogMax);
}

}  // namespace

Result<StoredRecords> StoredRecords::open(const StoredSegment& stored) {
  const record::SegmentHead& head = stored.segment.head;
  StoredRecords out;
  if (stored.reduced) {
    NOTP_ASSIGN(Bytes content, content_of(stored));
    out.content_ = std::make_unique<Bytes>(std::move(content));
    NOTP_TRY(out.take_apart(*out.content_, head));
    return out;
  }
  NOTP_ASSIGN(auto opened, record::OpenedSegment::open(head, stored.segment.body));
  out.opened_ = std::make_unique<record::OpenedSegment>(std::move(opened));
  out.records_.assign(out.opened_->records().begin(), out.opened_->records().end());
  for (size_t i = 0; i < out.records_.size(); ++i) {
    out.salts_.push_back(record::leaf_salt(head.secret, head.first + i));
    out.leaves_.push_back(record::leaf_hash(out.salts_.back(), out.records_[i]));
  }
  return out;
}

Result<void> StoredRecords::take_apart(ByteView in, const record::SegmentHead& head) {
  for (uint32_t i = 0; i < head.count; ++i) {
    const auto kind = take_bytes(in, 1);
    if (!kind || (kind->front() != kClosed && kind->front() != kOpened))
      return damaged(head, "a record is neither closed nor opened");
    if (kind->front() == kClosed) {
      const auto leaf = take_bytes(in, Hash::kSize);
      if (!leaf) return damaged(head, "it ends in a hash");
      NOTP_ASSIGN(const Hash hash, Hash::from_bytes(*leaf));
      records_.emplace_back();
      salts_.emplace_back();
      leaves_.push_back(hash);
      continue;
    }
    const auto salt = take_bytes(in, record::kSaltBytes);
    const auto size = salt ? take_varint(in) : Result<uint64_t>(std::unexpected(salt.error()));
    if (!size || *size == 0 || *size > limits::kRecordBytesMax)
      return damaged(head, "the length of a record is not one");
    const auto record = take_bytes(in, *size);
    if (!record) return damaged(head, "it ends in a record");
    records_.push_back(*record);
    salts_.emplace_back(*salt);
    leaves_.push_back(record::leaf_hash(*salt, *record));
  }
  return in.empty() ? Result<void>() : damaged(head, "bytes follow its records");
}

size_t StoredRecords::open_count() const {
  return static_cast<size_t>(
      std::ranges::count_if(records_, [](ByteView record) { return !record.empty(); }));
}

Result<Bytes> StoredRecords::reduced(const std::function<bool(size_t index)>& may_see,
                                     int level) const {
  Bytes content;
  for (size_t i = 0; i < records_.size(); ++i) {
    if (records_[i].empty() || !may_see(i)) {
      content += kClosed;
      content += leaves_[i].view();
      continue;
    }
    content += kOpened;
    content += salts_[i];
    put_varint(content, records_[i].size());
    content += records_[i];
  }
  return zstd_compress(content, {}, {.level = level, .window_log = limits::kSegmentWindowLogMax});
}

Result<StoredSegment> without_records(const StoredSegment& stored,
                                      std::span<const record::Position> positions) {
  const record::SegmentHead& head = stored.segment.head;
  std::vector<bool> goes(head.count);
  for (const record::Position position : positions) {
    if (position < head.first || position - head.first >= head.count)
      return fail(ErrorCode::kUsage,
                  fmt::format("position {} is not one of the segment from position {}", position,
                              head.first));
    goes[position - head.first] = true;
  }
  StoredSegment out = stored;
  if (stored.segment.body.empty()) return out;
  NOTP_ASSIGN(const StoredRecords records, StoredRecords::open(stored));
  out.reduced = true;
  out.segment.head.secret.assign(record::kSegmentSecretBytes, '\0');
  NOTP_ASSIGN(out.segment.body,
              records.reduced([&](size_t index) { return !goes[index]; }, limits::kSegmentLevel));
  std::vector<ByteView> left(records.records().begin(), records.records().end());
  for (size_t i = 0; i < left.size(); ++i)
    if (goes[i]) left[i] = {};
  NOTP_ASSIGN(BuiltIndex index, build_index(head, left));
  out.index = std::move(index.index);
  if (index.first_time_ns <= index.last_time_ns) {
    out.first_time_ns = index.first_time_ns;
    out.last_time_ns = index.last_time_ns;
  }
  return out;
}

Result<StoredSegment> without_body(const StoredSegment& stored) {
  StoredSegment out = stored;
  if (stored.segment.body.empty()) return out;
  NOTP_ASSIGN(const StoredRecords records, StoredRecords::open(stored));
  out.segment.subtrees = record::subtrees(stored.segment.head.first, records.leaves());
  out.segment.body.clear();
  out.segment.head.secret.assign(record::kSegmentSecretBytes, '\0');
  out.reduced = false;
  out.index = {};
  return out;
}

Result<Bytes> recompressed(const StoredSegment& stored, int level) {
  NOTP_ASSIGN(const Bytes content, content_of(stored));
  NOTP_ASSIGN(Bytes body, zstd_compress(content, {},
                                        {.level = level,
                                         .window_log = limits::kSegmentWindowLogMax,
                                         .frame_bytes_max = stored.segment.body.size() - 1}));
  if (body.empty()) return body;
  // What cannot be read back must never replace what can.
  const auto again = zstd_decompress(body, {}, content.size(), limits::kSegmentWindowLogMax);
  if (!again || *again != content)
    return fail(ErrorCode::kInternal, "a body that was compressed again differs");
  return body;
}

}  // namespace notp::audit
