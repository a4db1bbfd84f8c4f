// A node ships its log of decisions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "protocol/record/segment.hpp"
#include "protocol/wire/frame_type.hpp"
#include "protocol/wire/messages/shared.hpp"

namespace notp::wire {

struct LogOffer {
  record::LogId log;
  uint64_t size = 0;  // records in sealed segments
  Hash root;          // at that size
  // Age of the oldest sealed record that the node knows no acknowledgement of; 0: there is none.
  uint64_t oldest_age_ms = 0;
  // The registry's tree that the node knows, and the size of the newest checkpoint of it that the
  // node has verified and keeps; nullopt: it knows none.
  std::optional<record::LogId> tree = {};
  uint64_t tree_size = 0;
};

struct LogGrant {
  static constexpr FrameType kFrame = FrameType::kLogGrant;
  static constexpr std::string_view kName = "LogGrant";

  record::LogId log;
  uint64_t next = 0;          // the first record that the registry does not have
  uint64_t window_bytes = 0;  // of segments that may be on their way; 0: none for now
  bool announce = false;
  uint32_t code = 0;  // wire number of an ErrorCode; not 0: the log is refused
  std::string message;
};

struct LogAnnouncement {
  static constexpr FrameType kFrame = FrameType::kLogAnnouncement;
  static constexpr std::string_view kName = "LogAnnouncement";

  Bytes announcement;  // as verify_announcement() reads it
};

// The body follows as Chunks.
struct Segment {
  static constexpr FrameType kFrame = FrameType::kSegment;
  static constexpr std::string_view kName = "Segment";

  record::SegmentHead head;
  uint64_t size = 0;  // of the body; 0: dropped by the node, and `subtrees` stand for it
  uint32_t stream = 0;
  std::vector<Hash> subtrees;
  // As in LogOffer when sealed records follow this segment; 0: they do not, it is the last one.
  uint64_t oldest_age_ms = 0;
};

// The registry's tree has a checkpoint of the node's log.
struct LogReceipt {
  static constexpr FrameType kFrame = FrameType::kLogReceipt;
  static constexpr std::string_view kName = "LogReceipt";

  record::LogId log;
  uint64_t size = 0;       // of the node's checkpoint
  uint64_t index = 0;      // of its leaf (record::TreeEntry) in the registry's tree
  std::string checkpoint;  // note of the registry's tree
  std::vector<Hash> inclusion;
  std::vector<Hash> consistency;  // from the checkpoint that the node keeps; none: it keeps none
  Bytes announcement;             // of the tree; empty: the node knows it
  TimeMs time_ms = 0;             // of the leaf
  // Of the leaf, its count: records of the segment that ends at `size` if it came without a body.
  uint64_t dropped = 0;
};

// What a node says to a checkpoint of the registry's tree.
struct LogWitness {
  static constexpr FrameType kFrame = FrameType::kLogWitness;
  static constexpr std::string_view kName = "LogWitness";

  record::LogId log;
  uint64_t tree_size = 0;
  int64_t time_s = 0;  // Unix time of the cosignature
  Bytes signature;     // as record::cosign() makes it; empty: refused
  uint32_t code = 0;   // wire number of an ErrorCode; 0: cosigned
  std::string message;
  std::string kept;  // the note that the node keeps and that contradicts; empty: none does
};

}  // namespace notp::wire
