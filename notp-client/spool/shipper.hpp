// Decides what of a log goes to the registry, in one session after the other: pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "notp-client/spool/segment_source.hpp"
#include "protocol/wire/messages/decision_log.hpp"

namespace notp::spool {

// The next thing to do; one at a time.
struct ShipStep {
  enum class Kind : uint8_t { kAnnounce, kSegment } kind = Kind::kSegment;
  record::Position first = 0;  // kSegment: load the segment that begins here and send it
};

// One thread. Segments are sent in order; what is on its way when a session ends is sent again.
class Shipper {
 public:
  // Returns the offer for the Hello of a new session; nullopt: there is nothing yet.
  std::optional<wire::LogOffer> session_begins(const SealedLog& log);
  void session_ended();

  // A grant arrived. kMessage: it acknowledges what was not sent. kLogFork and kLogGap and other
  // codes: the registry refuses the log; nothing is sent in this session any more. kState: failed()
  // was called before, so that the alarm lasts while nothing is sent. The caller raises an alarm.
  Result<void> granted(const wire::LogGrant& grant, const SealedLog& log);
  // The registry has everything below this; for SegmentSource::acknowledged().
  record::Position acknowledged() const { return acknowledged_; }
  bool is_granted() const { return granted_; }

  // Returns what to do next, and counts it as begun; nullopt: nothing now. `log` may have grown,
  // and its oldest segments may have been deleted.
  std::optional<ShipStep> next(const SealedLog& log);
  // The step's segment was handed to the session: `bytes` of body, up to position `end`.
  void sent(record::Position end, uint64_t bytes);
  // It could not be loaded: shipping stops for this session.
  void failed();

 private:
  std::optional<record::LogId> log_;  // offered in this session
  bool granted_ = false, announce_ = false, refused_ = false, loading_ = false, failed_ = false;
  record::Position acknowledged_ = 0, next_ = 0;
  uint64_t window_bytes_ = 0;
  struct InFlight {
    record::Position end;
    uint64_t bytes;
  };
  std::deque<InFlight> in_flight_;
};

}  // namespace notp::spool
