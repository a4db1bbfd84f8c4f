// Drives a session machine over a connection: it reads, writes and sleeps, and decides nothing.
#pragma once

#include <functional>

#include "common/limits.hpp"
#include "protocol/session/machine.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/signal.hpp"

namespace notp::transport {

// Runs until the session is over, then closes the connection. The machine receives bytes, deadlines
// and finally on_cut(), unless it closed by itself; its output goes out as fast as the peer reads.
//
// `wake.notify()` signals that the host changed the machine (new output, a closed session, a nearer
// deadline). `after_event` is called after every call into the machine, so that the host takes the
// events out; it may change the machine, and must neither throw nor destroy the pump's objects.
//
// Returns no error when the machine closed and its last output was sent. kTimeout when the peer did
// not take that within kCloseMs; kUnavailable when the connection ended first; the codes of a late
// TLS refusal (Connection::handshake); kCancelled after Connection::abort(), with which a host ends
// a pump from outside: Asio's cancellation slots are not supported.
//
// All objects belong to the thread of the connection's executor and must outlive the call. A peer
// that takes no byte of the output for `stall_ms`, up to a quarter longer, causes on_stalled().
boost::asio::awaitable<Result<void>> pump(Connection& connection, session::SessionMachine& machine,
                                          Signal& wake, const std::function<void()>& after_event,
                                          TimeMs stall_ms = limits::kTransferStallMs);

}  // namespace notp::transport
