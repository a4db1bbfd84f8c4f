// Common parts of both ends of a session: frames in and out, keep-alive, deadlines, closing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/session/machine.hpp"
#include "protocol/session/session_output.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::session {

// Counts the bytes that a session holds for a peer that has not taken them yet. One thread.
class SendMeter {
 public:
  virtual ~SendMeter() = default;
  // `bytes` wait in its queue or are being written; `taken` were written since the last call.
  virtual void sending(size_t bytes, size_t taken) = 0;
};

// Common behaviour of client and server sessions. Derived classes handle messages and add
// deadlines.
class SessionBase : public SessionMachine, protected SessionOutput {
 public:
  void receive(ByteView bytes, Now now) final;
  bool receive_part(ByteView bytes, Now now) final;
  Bytes take_output(size_t bytes_max) final;
  model::Content take_shared() final;
  TimeMs next_deadline() const final;
  void on_deadline(Now now) final;
  void on_stalled(Now now) final;
  void on_cut(Now now) final;
  bool is_closed() const final { return closed_; }

  // Sends Bye and ends the session.
  void say_bye(std::string reason, uint32_t retry_after_ms = 0) final;
  // Sends an Error frame and ends the session: this end does not continue.
  void refuse(const Error& error, uint32_t retry_after_ms = 0) final;
  // The same for a peer that does not read: drops the waiting output.
  void give_up(const Error& error, uint32_t retry_after_ms = 0);

  // `meter` outlives the session; null: nothing is counted.
  void set_meter(SendMeter* meter) { meter_ = meter; }

 protected:
  // The message that opens the peer's side, and the time that it may take.
  struct FirstMessage {
    std::string_view name;  // has static storage
    TimeMs within_ms = 0;
  };
  SessionBase(Now now, FirstMessage first_message, bool pings);

  // Handles one message that is not handled here. An error closes the session with it.
  virtual Result<void> on_message(wire::Message&& message, Now now) = 0;
  // The session ended with `error` (kCancelled for a Bye of either side). Called once.
  virtual void on_closed(const Error& error, uint32_t retry_after_ms, Now now) = 0;
  // Returns the boot time of the derived session's next action; kNever: none.
  virtual TimeMs own_deadline() const { return kNever; }
  // Called at that time. Moves own_deadline() on, or ends the session.
  virtual void on_own_deadline(Now) {}
  // A message could not be encoded. An answer is replaced by one that carries the error's code;
  // after any other message the session ends with the error.
  virtual void on_unsendable(const Error&) {}

  void send(const wire::Message& message) final;
  void send_frames(model::Content frames) final;
  void send_transfer(uint32_t stream, model::Content content, uint64_t offset) final;
  // As SendQueue::push_background().
  void send_background(const wire::Message& head, uint32_t stream, model::Content body);
  // As in SendQueue.
  void send_lane(model::Content frame, bool bulk);
  void drop_lane() { queue_.drop_lane(); }
  const SendQueue& queue() const final { return queue_; }
  // The first message of the peer has arrived: its deadline is cancelled.
  void established() { first_message_deadline_ = kNever; }
  TimeMs last_received_ms() const { return last_received_ms_; }

 private:
  // nullopt: all is handled.
  std::optional<Result<void>> handle_next(size_t& pings, Now now);
  Result<void> dispatch(wire::Message&& message, Now now);
  void close(const Error& error, uint32_t retry_after_ms, Now now);
  void bound_queue();
  void took(size_t bytes);
  TimeMs timeout_deadline() const;
  void count(size_t taken);

  const FirstMessage first_message_;
  const bool pings_;
  wire::FrameParser parser_;
  SendQueue queue_;
  size_t in_flight_ = 0;  // bytes of the last output, until the next one is asked for
  SendMeter* meter_ = nullptr;
  TimeMs first_message_deadline_;
  TimeMs last_received_ms_;
  TimeMs last_sent_ms_;
  TimeMs frame_since_ms_ = kNever;  // start of an incomplete frame
  TimeMs now_boot_ms_;              // of the last call that carried a time
  uint64_t ping_nonce_ = 0;
  bool closed_ = false;
};

// kTimeout: bytes that the peer owes did not come in time.
Error silent_peer();

}  // namespace notp::session
