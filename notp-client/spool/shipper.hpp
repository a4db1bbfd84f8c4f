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
  record::Position first = 0;  // kSegment: load the segment that holds this record, and send it
};

// One thread. Segments are sent in order; what is on its way when a session ends is sent again.
class Shipper {
 public:
  // Returns the offer for the Hello of a new session; nullopt: there is nothing yet.
  std::optional<wire::LogOffer> session_begins(const SealedLog& log);
  void session_ended();

  // A grant arrived. kMessage: it acknowledges what was not sent. kLogFork and kLogGap and other
  // codes: the registry refuses the log. kState: failed() was called before. The caller raises an
  // alarm. Nothing is sent in this session any more, and each later grant has the same error, so
  // that the alarm lasts; after failed() alone, acknowledgements still count. When `log` is not the
  // offered one any more, what is said of that one means nothing: it is no error.
  Result<void> granted(const wire::LogGrant& grant, const SealedLog& log);
  // Of the offered log the registry has all records below acknowledged(), and no others: for
  // SegmentSource::acknowledged(). Only while is_granted(), since nothing is known before.
  record::Position acknowledged() const { return acknowledged_; }
  bool is_granted() const { return granted_; }

  // Returns what to do next, and counts it as begun; nullopt: nothing now. `log` may have grown,
  // and its oldest segments may have been deleted.
  std::optional<ShipStep> next(const SealedLog& log);
  // The step's segment was handed to the session: `bytes` of body, up to position `end`.
  void sent(record::Position end, uint64_t bytes);
  // It could not be loaded: shipping stops for this session, and the next one tries it again.
  void failed();

 private:
  std::optional<record::LogId> log_;  // offered in this session
  bool granted_ = false, announce_ = false, loading_ = false, failed_ = false;
  std::optional<Error> refusal_;  // of the registry, or what it did against the rules
  record::Position acknowledged_ = 0, next_ = 0;
  uint64_t window_bytes_ = 0;
  struct InFlight {
    record::Position end;
    uint64_t bytes;
  };
  std::deque<InFlight> in_flight_;
};

}  // namespace notp::spool
