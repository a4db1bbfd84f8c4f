// Listening, accepting and connecting.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "protocol/transport/connection.hpp"

namespace notp {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;

  // "host:port", "1.2.3.4:port", "[::1]:port". kConfig.
  static Result<HostPort> parse(std::string_view text);

  // Does the host stand for every address of a machine, as in "0.0.0.0", "[::]" or "0"? One can
  // listen there, and connect to none but oneself.
  bool is_wildcard() const;
};

// An address that another machine may be told to connect to: no wildcard and no port 0. kConfig.
Result<void> check_reachable_address(std::string_view text);

// Listens on a numeric address ("0.0.0.0:7420", "[::]:7420", port 0 for any). kConfig for another
// address; kUnavailable when it cannot be bound.
Result<boost::asio::ip::tcp::acceptor> listen(boost::asio::any_io_executor executor,
                                              std::string_view address);

// The next connection, its socket on `executor`, which need not be the acceptor's. When the process
// is out of descriptors or memory it waits kAcceptPauseMs and returns kOverloaded: accept again.
// kCancelled after the acceptor was closed.
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> accept(
    boost::asio::ip::tcp::acceptor& acceptor, boost::asio::any_io_executor executor);

// Connects on the caller's executor and shakes hands; every address of the name is tried in turn.
// `timeout_ms` bounds all of it, except that a name server that does not answer is waited for as
// long as the system's resolver does. kConfig, kTimeout, kUnavailable, and those of
// Connection::handshake().
boost::asio::awaitable<Result<std::unique_ptr<Connection>>> connect(
    std::string address, std::shared_ptr<const TlsContext> context, TimeMs timeout_ms);

}  // namespace notp
