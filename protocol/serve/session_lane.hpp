// The part of one session in a token lane: what its peer wants goes to the feed, statements of the
// feed go to the peer as fast as it reads. lane_feed.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "common/clock.hpp"
#include "protocol/serve/lane_feed.hpp"
#include "protocol/session/server/server_session.hpp"

namespace notp::serve {

class SessionLane;

// The readers on one I/O thread. Used on that thread.
class LaneReaders {
 public:
  void deliver(const std::vector<LaneSend>& sends);

  void add(uint64_t number, SessionLane& lane) { readers_[number] = &lane; }
  void remove(uint64_t number) { readers_.erase(number); }
  void join(uint64_t group, SessionLane& lane) { groups_[group].insert(&lane); }
  void leave(uint64_t group, SessionLane& lane);

 private:
  SessionLane* find(const LaneReader& reader) const;

  std::unordered_map<uint64_t, SessionLane*> readers_;
  std::unordered_map<uint64_t, std::unordered_set<SessionLane*>> groups_;
};

// Holds at most kLaneUnsentBytesMax of statements. Used on the session's I/O thread.
class SessionLane {
 public:
  // Where the session lives; all of it outlives end().
  struct Place {
    session::ServerSession* session = nullptr;
    LaneReaders* readers = nullptr;
    uint64_t number = 0;
    session::Identity identity;
    std::function<void()> wake;  // after each call into the session
  };

  // `feed` outlives it; null: there are no lanes.
  explicit SessionLane(LaneFeed* feed) : feed_(feed) {}

  // The session begins.
  void begin(Place place);
  // The session has ended.
  void end();

  void take(session::server_event::LaneSubscribed& event, Now now);
  void take(session::server_event::LaneAsked& event, Now now);
  void take(session::server_event::LaneAppliedArrived& event, Now now);
  // The session's output has changed; `has_taken`: the peer has taken some. The session must not be
  // called here.
  void on_output(bool has_taken);

  // --- of LaneReaders

  LaneReader reader() const { return {place_.number, stream_}; }
  void send(const lane_send::Tell& tell);
  void send(const lane_send::ToReader& sent);
  void send(const lane_send::Join& join);
  void send_batch(const model::Content& frame, uint64_t to);

 private:
  struct Batch {
    size_t bytes = 0;
    uint64_t to = 0;
  };
  // What a drained() waits for.
  enum class Draining : uint8_t { kNo, kQueued, kBeingWritten };

  bool has_room(const Bytes& frame) const;
  void queue_batch(size_t bytes, uint64_t to);
  void push(const model::Content& frame, bool is_bulk);
  void fall_behind();
  void new_stream();
  // Finds out which batches were sent for certain.
  void look_at_queue();

  LaneFeed* const feed_;
  Place place_;
  uint32_t stream_ = 0;  // 0: the peer has not subscribed
  std::optional<uint64_t> group_;
  Draining draining_ = Draining::kNo;
  std::list<Batch> batches_;  // in the queue, perhaps
  size_t batch_bytes_ = 0;    // of these
  uint64_t sent_to_ = 0;
  size_t asks_open_ = 0;
  // Boot times up to which the peer's subscriptions and reports are paid for.
  TimeMs subscribe_ms_ = 0, applied_ms_ = 0;
};

}  // namespace notp::serve
