// What both ends of a session share: frames in and out, keep-alive, deadlines, closing.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "protocol/model/tree.hpp"
#include "protocol/session/machine.hpp"
#include "protocol/wire/frame.hpp"

namespace notp {

// Orders what is to be sent: control frames first, then chunks of the transfer with the fewest
// bytes left, so that a small urgent release overtakes a large one. One thread.
class Outbox {
 public:
  // kInternal when the message cannot be encoded; nothing is pushed then.
  Result<void> push(const wire::Message& message);
  // Chunks of `content` from `offset` on; the content is shared, not copied. Its Offer or Publish
  // must have been pushed before.
  void push_transfer(uint32_t stream, Content content, uint64_t offset);
  void cancel_transfers() { transfers_.clear(); }
  // Forgets all that waits; a frame that take() gave out is whole.
  void clear() {
    control_ = {};
    transfers_.clear();
  }
  bool has_transfer(uint32_t stream) const { return transfers_.contains(stream); }
  size_t transfers() const { return transfers_.size(); }
  // Control bytes waiting: grows only when the peer does not read.
  size_t control_bytes() const { return control_.size(); }
  bool empty() const { return control_.empty() && transfers_.empty(); }
  Bytes take(size_t bytes_max);

 private:
  struct Transfer {
    Content content;
    uint64_t offset = 0;
    uint64_t left() const { return content->size() - offset; }
  };
  void append_chunk(Bytes& out, size_t bytes_max);

  Bytes control_;
  std::map<uint32_t, Transfer> transfers_;
};

// Gathers the chunks of one incoming transfer, within the size that was announced.
struct Incoming {
  uint64_t size = 0;  // of the whole artifact
  Bytes bytes;
  bool complete() const { return bytes.size() == size; }
  // kState when the chunk passes the announced size.
  Result<void> append(ByteView chunk);
};

// Is told what a session holds for a peer that has not taken it yet. One thread.
class SendMeter {
 public:
  virtual ~SendMeter() = default;
  // `bytes` wait in its queue or are being written; `taken` were written since the last call.
  virtual void sending(size_t bytes, size_t taken) = 0;
};

// Common behaviour of client and server sessions. Derived classes handle messages and add
// deadlines.
class SessionLink : public SessionMachine {
 public:
  void receive(ByteView bytes, Now now) final;
  Bytes take_output(size_t bytes_max) final;
  TimeMs next_deadline() const final;
  void on_deadline(Now now) final;
  void on_stalled(Now now) final;
  void on_cut(Now now) final;
  bool is_closed() const final { return closed_; }

  // Sends Bye and ends the session.
  void say_bye(std::string reason, uint32_t retry_after_ms = 0);
  // Sends an Error frame and ends the session: this end refuses to go on.
  void refuse(const Error& error, uint32_t retry_after_ms = 0);
  // The same for a peer that does not read: what waits for it is forgotten.
  void give_up(const Error& error, uint32_t retry_after_ms = 0);

  // `meter` outlives the session; null: nobody counts.
  void set_meter(SendMeter* meter) { meter_ = meter; }

 protected:
  SessionLink(Now now, TimeMs first_message_ms, bool pings);

  // One message that the link itself does not handle. An error closes the session with it.
  virtual Result<void> on_message(wire::Message&& message, Now now) = 0;
  // The session ended; `error` says why (kCancelled for a Bye of either side). Called once.
  virtual void on_closed(const Error& error, uint32_t retry_after_ms, Now now) = 0;
  // Boot time since which a peer owes bytes of a transfer; kNever when it owes none.
  virtual TimeMs transfer_waiting_since() const { return kNever; }
  // Boot time at which the derived session has something to do of its own accord; kNever: nothing.
  virtual TimeMs own_deadline() const { return kNever; }
  // That time has come. Moves own_deadline() on.
  virtual void on_own_deadline(Now) {}

  // A message was made that cannot be sent. An answer is replaced by one that says so, with the
  // error's code; after any other message the session ends with the error.
  virtual void on_unsendable(const Error&) {}

  void send(const wire::Message& message);
  Outbox& outbox() { return outbox_; }
  const Outbox& outbox() const { return outbox_; }
  // The peer has said its first word: the deadline for it is over.
  void established() { first_message_deadline_ = kNever; }
  TimeMs last_received_ms() const { return last_received_ms_; }

 private:
  Result<void> dispatch(wire::Message&& message, Now now);
  void close(const Error& error, uint32_t retry_after_ms, Now now);
  TimeMs timeout_deadline() const;
  void count(size_t taken);

  const bool pings_;
  wire::FrameParser parser_;
  Outbox outbox_;
  size_t in_flight_ = 0;  // bytes of the last output, until the next one is asked for
  SendMeter* meter_ = nullptr;
  TimeMs first_message_deadline_;
  TimeMs last_received_ms_;
  TimeMs last_sent_ms_;
  TimeMs frame_since_ms_ = kNever;  // since when a frame is incomplete
  TimeMs now_boot_ms_;              // of the last call that carried a time
  uint64_t ping_nonce_ = 0;
  bool closed_ = false;
};

}  // namespace notp
