// The records of a stored segment, also of one from which records were taken out.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "notp-server/audit/audit_store.hpp"

namespace notp::audit {

// Views into its own memory. One thread.
class StoredRecords {
 public:
  // The segment has a body. kMessage, kArtifact, kLimit: damaged, with the reason.
  static Result<StoredRecords> open(const StoredSegment& stored);

  // In the order of the segment; empty: the record is gone.
  std::span<const ByteView> records() const { return records_; }
  // The leaf hash of each record.
  std::span<const Hash> leaves() const;
  // The body for a reader who may see some of them, as record::reduce() makes it. What is gone
  // stays closed. kInternal: compression failed.
  Result<Bytes> reduced(const std::function<bool(size_t index)>& may_see) const;

 private:
  explicit StoredRecords(record::SegmentHead head) : head_(std::move(head)) {}

  record::SegmentHead head_;
  std::optional<record::OpenedSegment> opened_;  // of a segment that is whole
  std::vector<record::ReducedRecord> reduced_;   // of another one
  std::vector<ByteView> records_;
  mutable std::vector<Hash> leaves_;  // of a whole segment: made when they are asked for
};

// Returns the segment without the records at `positions`, with head and filter made anew. The times
// are those of what is left, if something is. kUsage: a position outside it; kMessage, kArtifact,
// kLimit: damaged.
Result<StoredSegment> without_records(const StoredSegment& stored,
                                      std::span<const record::Position> positions);
// Returns the segment without its body: the hashes of its subtrees are left.
Result<StoredSegment> without_body(const StoredSegment& stored);

// Returns a body that decodes to the same content and is smaller; empty: it would not be.
Result<Bytes> recompressed(const StoredSegment& stored, int level);

}  // namespace notp::audit
