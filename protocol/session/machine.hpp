// What a connection pump needs of a session: bytes in, bytes out, one deadline. A machine never
// opens a socket, reads a clock or draws a random number; one thread at a time uses it.
#pragma once

#include "common/bytes.hpp"
#include "common/clock.hpp"

namespace notp {

class SessionMachine {
 public:
  virtual ~SessionMachine() = default;

  // Received bytes, however fragmented. Never fails: an error becomes output (an Error frame) and
  // is_closed(). Ignored once closed.
  virtual void receive(ByteView bytes, Now now) = 0;

  // Takes bytes to send, at most about `bytes_max` (a frame is never split by this limit; one frame
  // may pass it). Empty: nothing to send now.
  virtual Bytes take_output(size_t bytes_max) = 0;

  // Boot-clock time at which on_deadline() wants to be called; kNever: no deadline.
  virtual TimeMs next_deadline() const = 0;
  virtual void on_deadline(Now now) = 0;

  // The peer has taken nothing of what was sent to it for long: the last call but on_cut() unless
  // the machine closes, and then has little left to send.
  virtual void on_stalled(Now now) { on_cut(now); }

  // The connection ended, by the peer or by an error; nothing more will come.
  virtual void on_cut(Now now) = 0;

  // The conversation is over: send what take_output() still gives, then close the connection.
  virtual bool is_closed() const = 0;
};

}  // namespace notp
