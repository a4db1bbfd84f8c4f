// The sealed segments of a node's log, as those who ship them see them.
#pragma once

#include <functional>
#include <optional>

#include "common/crypto/digest.hpp"
#include "protocol/record/segment.hpp"

namespace notp::spool {

// The state of a log for an offer.
struct SealedLog {
  record::LogId log;
  record::Position first = 0;  // of the oldest segment that is kept
  record::Position size = 0;   // records in sealed segments
  Hash root;                   // at that size
  Bytes announcement;          // as verify_announcement() reads it; empty: it is not signed yet
};

// Thread-safe; answers from memory, but for segment(), which blocks on the disk.
class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  virtual SealedLog sealed() const = 0;
  // Returns the segment that begins at `first`; kNotFound: no segment begins there.
  virtual Result<record::Segment> segment(record::Position first) = 0;
  // The registry has everything below `next`. Segments below it are kept a while, and then deleted.
  virtual void acknowledged(record::Position next) = 0;
  // Whether the registry takes segments: then they are sealed sooner.
  virtual void connected(bool is_connected) = 0;
  // Called after each seal, on the spool's thread. Set once, before the first seal.
  virtual void on_sealed(std::function<void()> sealed) = 0;
};

}  // namespace notp::spool
