#include "notp-server/audit/stored_records.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "notp-server/audit/segment_head.hpp"
#include "notp-server/audit/segment_index.hpp"

namespace notp::audit {
namespace {

Result<Bytes> content_of(const StoredSegment& stored) {
  const record::SegmentHead& head = stored.segment.head;
  uint64_t bytes = head.content_bytes;
  if (stored.reduced) {
    const auto reduced = zstd_content_bytes(stored.segment.body);
    if (!reduced || *reduced > head.content_bytes + uint64_t{head.count} * (1 + Hash::kSize))
      return fail(ErrorCode::kMessage,
                  fmt::format("the reduced segment from position {} is damaged: its body is not "
                              "one frame of a bounded size",
                              head.first));
    bytes = *reduced;
  }
  return zstd_decompress(stored.segment.body, {}, bytes, limits::kSegmentWindowLogMax);
}

}  // namespace

Result<StoredRecords> StoredRecords::open(const StoredSegment& stored) {
  const record::Segment& segment = stored.segment;
  StoredRecords out(segment.head);
  if (!stored.reduced) {
    NOTP_ASSIGN(out.opened_, record::OpenedSegment::open(segment.head, segment.body));
    out.records_.assign(out.opened_->records().begin(), out.opened_->records().end());
    return out;
  }
  NOTP_ASSIGN(out.reduced_, record::open_reduced(segment.head, segment.body));
  for (const record::ReducedRecord& each : out.reduced_) {
    out.records_.push_back(each.record ? ByteView(*each.record) : ByteView());
    out.leaves_.push_back(each.leaf);
  }
  return out;
}

std::span<const Hash> StoredRecords::leaves() const {
  if (leaves_.empty() && opened_) leaves_ = record::leaf_hashes(head_, *opened_);
  return leaves_;
}

Result<Bytes> StoredRecords::reduced(const std::function<bool(size_t index)>& may_see) const {
  return opened_ ? record::reduce(head_, *opened_, may_see) : record::reduce(reduced_, may_see);
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
  NOTP_ASSIGN(out.segment.body, records.reduced([&](size_t index) { return !goes[index]; }));
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
