// A node ships its log of decisions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

}  // namespace notp::wire
