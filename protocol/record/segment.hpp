// Segments: runs of records, compressed, each with a checkpoint of the log after it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/crypto/digest.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/record/log_id.hpp"
#include "protocol/record/tree.hpp"

namespace notp::record {

struct SegmentHead {
  LogId log;
  Position first = 0;
  uint32_t count = 0;          // 1 to kSegmentRecordsMax
  uint64_t content_bytes = 0;  // of the uncompressed body
  Bytes secret;                // kSegmentSecretBytes
  std::string checkpoint;      // note over the tree of first + count records
  bool operator==(const SegmentHead&) const = default;
  Position end() const { return first + count; }
};

struct Segment {
  SegmentHead head;
  Bytes body;                  // one zstd frame; empty: dropped by the node
  std::vector<Hash> subtrees;  // without a body
  bool operator==(const Segment&) const = default;
};

// Puts a segment together. One thread.
class SegmentBuilder {
 public:
  SegmentBuilder(Position first, Bytes secret);
  // Says what will be added, so that nothing is moved meanwhile.
  void expect(size_t records, size_t bytes);
  // The tree grows with it.
  void add(ByteView record, Frontier& tree);
  // The same for a caller that extends the tree by the subtrees of leaves() afterwards.
  void add(ByteView record);
  uint32_t count() const { return static_cast<uint32_t>(leaves_.size()); }
  Position first() const { return first_; }
  size_t content_bytes() const { return content_.size(); }
  // Whether a record of `bytes` bytes would exceed kSegmentRecordsMax or kSegmentContentBytesMax.
  // An empty segment takes any record.
  bool is_full_for(size_t bytes) const;
  const std::vector<Hash>& leaves() const { return leaves_; }
  // There is a record, and the checkpoint is over `tree`, which ends with it. The builder is empty
  // afterwards. kInternal: compression failed.
  Result<Segment> seal(const LogId& log, const Frontier& tree, std::string origin,
                       const PrivateKey& key) &&;

 private:
  Position first_;
  Bytes secret_;
  Bytes content_;  // each record as varint length ‖ bytes
  std::vector<Hash> leaves_;
};

// A segment's records. Views into its own memory.
class OpenedSegment {
 public:
  // Decompresses within limits and takes the records apart; kMessage, kArtifact, kLimit: damaged,
  // with the reason. Neither positions nor hashes are checked.
  static Result<OpenedSegment> open(const SegmentHead& head, ByteView body);
  std::span<const ByteView> records() const { return records_; }

 private:
  std::unique_ptr<Bytes> content_;
  std::vector<ByteView> records_;
};

// Checks an opened segment's places: record i is at head.first + i. kMessage names the position.
Result<void> check_places(const SegmentHead& head, const OpenedSegment& segment);
// Returns the leaf hash of each record.
std::vector<Hash> leaf_hashes(const SegmentHead& head, const OpenedSegment& segment);

// Checks that `tree`, which ends at head.first, becomes what the segment's checkpoint says, and
// extends it. `records` is null for a segment without a body. kMessage, kLimit, kSignature;
// kLogFork: the root differs. On an error `tree` is unchanged. Neither places nor the domain and
// node in the checkpoint's origin are checked.
Result<Checkpoint> extend_tree(Frontier& tree, const Segment& segment, const OpenedSegment* records,
                               const PublicKey& log_key);

// --- a segment of which the reader may not see every record: for each a byte, 0 and its leaf hash,
// or 1, its salt and the record as varint length ‖ bytes. All of it one zstd frame. The secret of
// the head that goes with it is zeros: the salts of closed records would follow from it.
struct ReducedRecord {
  std::optional<Bytes> record;  // nullopt: closed
  Hash leaf;
  Bytes salt;  // of an open one
};
Result<Bytes> reduce(const SegmentHead& head, const OpenedSegment& segment,
                     const std::function<bool(size_t index)>& may_see);
// The same of one that was reduced before: what is closed stays so.
Result<Bytes> reduce(std::span<const ReducedRecord> records,
                     const std::function<bool(size_t index)>& may_see);
// `content_bytes` bounds the memory. kMessage, kArtifact, kLimit.
Result<std::vector<ReducedRecord>> open_reduced(const SegmentHead& head, ByteView body);

}  // namespace notp::record
