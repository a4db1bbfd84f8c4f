// The log of decisions that the peer of one registry's session ships. protocol/session/README.md,
// "Decision records".
#pragma once

#include <cstdint>
#include <list>
#include <optional>

#include "protocol/session/server/server_context.hpp"

namespace notp::session {

// Takes segments in the order of the log, within the window, and hands them to the host; nothing of
// them is checked here. Memory: at most the window, kLogWindowBytes, and one segment. One thread.
class ServerLogs {
 public:
  // `context` outlives this.
  explicit ServerLogs(ServerContext& context) : context_(context) {}

  // The Hello has an offer. A peer without the right to record gets no answer, as from a registry
  // that takes no records.
  void on_offer(const wire::LogOffer& offer);
  // kState unless a grant has asked for it.
  Result<void> on_message(wire::LogAnnouncement&& announcement, Now now);
  // kState for a segment of a log that is not granted, before the announcement that was asked for,
  // inside another segment, or one that does not follow the one before; kLimit beyond the window.
  Result<void> on_message(wire::Segment&& segment, Now now);
  // kState unless a receipt was sent that has no answer yet.
  Result<void> on_message(wire::LogWitness&& witness, Now now);
  // kState past the body's end. Only for a stream that receives() names.
  Result<void> on_message(const wire::Chunk& chunk, Now now);
  // Whether chunks of this stream are the body of a segment.
  bool receives(uint32_t stream) const { return incoming_ && incoming_->segment.stream == stream; }

  // Sends the host's grant. Segments below its `next` count no longer against the window. After a
  // refusal the segments that are on their way are dropped.
  void granted(const wire::LogGrant& grant);
  // Sends a receipt of the granted log.
  void receipt(const wire::LogReceipt& receipt);
  // Releases the memory of a partly received segment.
  void drop_segment() { incoming_.reset(); }

  // Boot time at which a segment that has begun stands still for too long; kNever: none is under
  // way. Chunks of segments give way to everything else that the peer sends, so the time is that of
  // a silent session.
  TimeMs next_deadline() const;
  void on_deadline(Now now);

 private:
  enum class Phase : uint8_t { kNone, kOffered, kGranted, kRefused };
  struct ArrivingSegment {
    wire::Segment segment;
    Bytes body;             // empty when the log is refused
    uint64_t received = 0;  // bytes of the body
    TimeMs last_ms = 0;     // boot time of its last bytes
  };
  struct Unacknowledged {
    record::Position end = 0;
    uint64_t bytes = 0;  // against the window
  };

  Result<void> check_place(const wire::Segment& segment) const;
  // The segment is whole.
  void hand_over(wire::Segment&& segment, Bytes&& body);

  ServerContext& context_;
  Phase phase_ = Phase::kNone;
  record::LogId log_;
  bool announcement_due_ = false;
  uint64_t window_bytes_ = 0;  // the largest one granted: what is on its way may rest on it
  std::list<Unacknowledged> unacknowledged_;
  uint64_t unacknowledged_bytes_ = 0;
  std::optional<record::Position> end_;  // of the last segment of the session
  std::optional<ArrivingSegment> incoming_;
  size_t receipts_ = 0;  // sent, and not answered yet
};

}  // namespace notp::session
