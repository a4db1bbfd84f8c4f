// The ports between the sessions of a server and the token lanes that feed them:
// protocol/session/README.md, "Token lanes".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "protocol/model/tree.hpp"
#include "protocol/session/identity.hpp"
#include "protocol/wire/messages/lanes.hpp"

namespace notp::serve {

// One session that follows a lane. It counts `stream` up with each LaneSubscribe, and each time it
// falls behind: what was sent in an earlier stream no longer counts for it.
struct LaneReader {
  uint64_t number = 0;  // from 1 on; never used again by its server
  uint32_t stream = 0;
  bool operator==(const LaneReader&) const = default;
};

// What sessions are to send, in this order.
namespace lane_send {
// Before all statements of its stream, or of another history in it. A reader that has joined leaves
// its group, and what is not sent yet is dropped.
struct Tell {
  LaneReader reader;
  wire::LaneState state;
};
struct ToReader {
  LaneReader reader;
  model::Content frame;  // a whole LaneStatement, which sessions share
  uint64_t to = 0;       // of a batch: the reader is at this revision then
  bool is_bulk = false;  // of a snapshot
  bool is_page = false;  // LaneFeed::drained() is to be called once it has been sent
  bool is_answer = false;
};
// The reader gets what ToGroup sends, from here on until its stream ends.
struct Join {
  LaneReader reader;
  uint64_t group = 0;
};
struct ToGroup {
  uint64_t group = 0;
  model::Content frame;
  uint64_t to = 0;  // as in ToReader
};
}  // namespace lane_send
using LaneSend =
    std::variant<lane_send::Tell, lane_send::ToReader, lane_send::Join, lane_send::ToGroup>;
// Shared by the threads of a server.
using LaneSends = std::shared_ptr<const std::vector<LaneSend>>;

// Feeds readers. Thread-safe; called on an I/O thread, so it must not block. Calls for one reader
// come one after the other; closed() is the last one.
class LaneFeed {
 public:
  virtual ~LaneFeed() = default;
  // A new stream of the reader, which belongs to that peer; answered with a Tell.
  virtual void subscribe(LaneReader reader, const session::Identity& identity,
                         wire::LaneSubscribe wanted) = 0;
  // The session has dropped its statements because its peer reads too slowly. In the stream before
  // it was sent batches up to `revision`; 0: none. `reader` has the new stream; drained() follows.
  virtual void fell_behind(LaneReader reader, uint64_t revision) = 0;
  // A page was sent, or the peer reads again.
  virtual void drained(LaneReader reader) = 0;
  // At most kLaneAsksOpenMax of a reader wait for their answers.
  virtual void ask(LaneReader reader, std::vector<feed::TokenId> ids) = 0;
  virtual void applied(LaneReader reader, const wire::LaneApplied& applied) = 0;
  virtual void closed(uint64_t reader) = 0;
};

// Thread-safe; never blocks.
class LaneOutlet {
 public:
  virtual ~LaneOutlet() = default;
  // Calls reach the sessions in their order. Readers that have ended are left out.
  virtual void deliver(LaneSends sends) = 0;
};

}  // namespace notp::serve
