// The connections of one I/O thread from accept() to the end of their TLS handshakes. Until its
// turn comes a connection is a socket: no TLS, no session.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <unordered_map>

#include "protocol/serve/admission.hpp"
#include "protocol/serve/handshake_turns.hpp"

namespace notp::serve {

// Belongs to its thread.
class HandshakeQueue {
 public:
  using Ticket = HandshakeTurns::Ticket;
  using Socket = boost::asio::ip::tcp::socket;
  // Begins a handshake, later and on the thread; whoever runs it calls ended(ticket) when it is
  // over. Returns what ends it before that.
  using Begin = std::function<std::function<void()>(Socket socket, Ticket ticket)>;

  // `admission` and `counters` outlive it.
  HandshakeQueue(boost::asio::io_context& context, Admission& admission, ServeCounters& counters,
                 HandshakeTurnLimits limits, Begin begin);

  // Takes an accepted connection, which the admission has counted. Without a place for it, one
  // of another client is closed, as HandshakeTurns::give_way() says, or else this one.
  void add(Socket socket, std::string address);
  void ended(Ticket ticket);
  // Closes what waits, and what is added later.
  void close();

 private:
  void on_readable(Ticket ticket);
  // Begins what may begin.
  void go_on();
  void on_deadline();
  void arm();
  Socket take(Ticket ticket);
  void drop(Ticket ticket);

  Admission& admission_;
  ServeCounters& counters_;
  const Begin begin_;
  HandshakeTurns turns_;
  std::unordered_map<Ticket, Socket> waiting_;
  std::unordered_map<Ticket, std::function<void()>> under_way_;
  boost::asio::steady_timer timer_;
  TimeMs armed_ms_ = kNever;
  bool is_closed_ = false;
};

}  // namespace notp::serve
