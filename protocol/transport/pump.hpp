// Drives a session machine over a connection: it reads, writes and sleeps, and decides nothing.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "common/limits.hpp"
#include "protocol/session/machine.hpp"
#include "protocol/transport/connection.hpp"

namespace notp::transport {

// Through it a host tells the pump that it changed the machine: new output, a closed session, a
// nearer deadline. Used by one pump at a time, on its thread; without a pump it does nothing.
class Wake {
 public:
  Wake() = default;
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  // Sends the output at once, as much as the peer's system takes, unless the pump itself is calling
  // the machine: then it does so afterwards.
  void notify() {
    if (*pump_ != nullptr) (*pump_)->woken();
  }

 private:
  friend class Pump;
  class Woken {
   public:
    virtual void woken() = 0;

   protected:
    ~Woken() = default;
  };
  // Null: none. Shared, because a pump may outlive it where an io_context is destroyed with one.
  const std::shared_ptr<Woken*> pump_ = std::make_shared<Woken*>(nullptr);
};

// Runs until the session is over, then closes the connection. The machine receives bytes, deadlines
// and finally on_cut(), unless it closed by itself; its output goes out as fast as the peer reads,
// one TLS record at a time, so that an urgent frame does not wait long behind others.
//
// `after_event` is called after every call into the machine, so that the host takes the events out;
// it may change the machine, and must neither throw nor destroy the pump's objects.
//
// Returns no error when the machine closed and its last output was sent. kTimeout when the peer did
// not take that within kCloseMs; kUnavailable when the connection ended first; the codes of a late
// TLS refusal (Connection::handshake); kCancelled after Connection::abort(), with which a host ends
// a pump from outside: Asio's cancellation slots are not supported.
//
// All objects belong to the thread of the connection's executor and must outlive the call. A peer
// that takes no byte of the output for `stall_ms` causes on_stalled(): up to a quarter later while
// output waits, else when there is output again.
boost::asio::awaitable<Result<void>> pump(Connection& connection, session::SessionMachine& machine,
                                          Wake& wake, const std::function<void()>& after_event,
                                          TimeMs stall_ms = limits::kTransferStallMs);

}  // namespace notp::transport
