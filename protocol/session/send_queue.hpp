// The output queue of a session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <utility>

#include "common/bytes.hpp"
#include "common/result.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::session {

// Control frames go first, then batches of a lane, which are small and urgent, then chunks of the
// transfer with the fewest bytes left, so that a small urgent release overtakes a large one. When
// none of these waits, snapshots of a lane go, then background work, in order and one frame or
// small chunk at a time: what comes next waits for one at most. One thread.
class SendQueue {
 public:
  // kInternal when the message cannot be encoded; nothing is pushed then.
  Result<void> push(const wire::Message& message);
  // Queues whole control frames that other sessions may share.
  void push_frames(model::Content frames);
  // Queues chunks of `content` from `offset` on; the content is shared, not copied. Its Offer or
  // Publish must have been pushed before.
  void push_transfer(uint32_t stream, model::Content content, uint64_t offset);
  // Queues a frame and the chunks of its body behind all other background work; null: it has none.
  // Only one background body is on its way at a time, so all may have the same stream. kInternal as
  // push().
  Result<void> push_background(const wire::Message& head, uint32_t stream, model::Content body);
  // Queues a whole frame of a lane that other sessions may share. `bulk`: of a snapshot.
  void push_lane(model::Content frame, bool bulk);
  // Drops the frames of lanes.
  void drop_lane();
  // Bytes of them.
  size_t lane_bytes() const { return lane_bytes_; }
  // Drops what is not sent yet of transfers, of lanes and of background work.
  void cancel_transfers() {
    transfers_.clear();
    background_.clear();
    drop_lane();
  }
  // Drops all waiting output; take() has only given out whole frames.
  void clear() {
    first_ = {};
    control_ = {};
    cancel_transfers();
  }
  // Returns the lowest stream number without a transfer: it has the shortest encoding.
  uint32_t free_stream() const;
  size_t transfers() const { return transfers_.size(); }
  // Whether bytes of a transfer on this stream wait to be sent.
  bool is_sending(uint32_t stream) const { return transfers_.contains(stream); }
  // Waiting control bytes: they accumulate only when the peer does not read.
  size_t control_bytes() const { return control_.size() + (first_ ? first_->size() : 0); }
  bool empty() const {
    return control_bytes() == 0 && transfers_.empty() && background_.empty() && lane_bytes_ == 0;
  }
  // Takes about `bytes_max` bytes; a frame is never split, so one frame may exceed the limit.
  Bytes take(size_t bytes_max);
  // Takes the shared frames that are next, without a copy; nullptr: something else is, or nothing.
  model::Content take_shared() { return std::exchange(first_, nullptr); }

 private:
  struct Transfer {
    model::Content content;
    uint64_t offset = 0;
    uint64_t left() const { return content->size() - offset; }
  };
  struct Background {
    Bytes head;  // empty: sent
    uint32_t stream = 0;
    model::Content body;
    uint64_t offset = 0;
    uint64_t left() const { return body ? body->size() - offset : 0; }
  };
  void append_lane(Bytes& out, std::list<model::Content>& frames);
  void append_chunk(Bytes& out, size_t bytes_max);
  void append_background(Bytes& out, size_t bytes_max);

  model::Content first_;  // shared frames, before the others; null: none
  Bytes control_;
  // Lists, here and in the other parts of a session: an empty deque takes 600 bytes.
  std::list<model::Content> lane_batches_, lane_snapshots_;
  size_t lane_bytes_ = 0;  // of both
  std::map<uint32_t, Transfer> transfers_;
  std::list<Background> background_;
};

}  // namespace notp::session
