// The interface between a connection pump and a session: bytes in, bytes out, one deadline. A
// machine never opens a socket, reads a clock or draws a random number; one thread at a time uses
// it.
#pragma once

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "protocol/model/tree.hpp"

namespace notp::session {

class SessionMachine {
 public:
  virtual ~SessionMachine() = default;

  // Received bytes, however fragmented. Never fails: an error becomes output (an Error frame) and
  // is_closed(). Ignored once closed.
  virtual void receive(ByteView bytes, Now now) = 0;
  // The same for a host that has other sessions on this thread: handles a bounded number of
  // messages. true: there are more of them in what was received; the next call, without bytes, goes
  // on with those.
  virtual bool receive_part(ByteView bytes, Now now) {
    receive(bytes, now);
    return false;
  }

  // Takes bytes to send, at most about `bytes_max` (a frame is never split by this limit; one frame
  // may exceed it). Empty: nothing to send now.
  virtual Bytes take_output(size_t bytes_max) = 0;
  // Takes what comes next if it is a buffer that sessions share; nullptr: take_output() has it.
  virtual model::Content take_shared() { return nullptr; }

  // Returns the boot-clock time for the next call of on_deadline(); kNever: no deadline.
  virtual TimeMs next_deadline() const = 0;
  virtual void on_deadline(Now now) = 0;

  // The peer has not taken any sent bytes for long. Only on_cut() follows, unless the machine
  // closes, and then has little left to send.
  virtual void on_stalled(Now now) { on_cut(now); }

  // The connection ended, by the peer or by an error; no more calls follow.
  virtual void on_cut(Now now) = 0;

  // The session is over: send the remaining take_output(), then close the connection.
  virtual bool is_closed() const = 0;
};

}  // namespace notp::session
