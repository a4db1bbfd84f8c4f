// Listening, accepting and connecting.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "common/host_port.hpp"
#include "common/http/proxy.hpp"
#include "protocol/transport/connection.hpp"

namespace notp::transport {

// Listens on a numeric address ("0.0.0.0:7420", "[::]:7420", port 0 for any). kConfig for another
// address; kUnavailable when it cannot be bound.
Result<boost::asio::ip::tcp::acceptor> listen(boost::asio::any_io_executor executor,
                                              std::string_view address);

// Returns the next connection, its socket on `executor`, which need not be the acceptor's. When the
// process is out of descriptors or memory it waits kAcceptPauseMs and returns kOverloaded: accept
// again. kCancelled after the acceptor was closed.
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> accept(
    boost::asio::ip::tcp::acceptor& acceptor, boost::asio::any_io_executor executor);

// A connection that is waiting already; nullopt: none is, or it could not be accepted, which the
// next accept() says.
std::optional<boost::asio::ip::tcp::socket> accept_waiting(boost::asio::ip::tcp::acceptor& acceptor,
                                                           boost::asio::any_io_executor executor);

// Connects on the caller's executor, through `proxy` if given, and runs the handshake. `timeout_ms`
// bounds all of it, except that an unresponsive name server takes as long as the system's resolver
// waits. kConfig, and the codes of http::dial() and Connection::handshake().
boost::asio::awaitable<Result<std::unique_ptr<Connection>>> connect(
    std::string address, std::shared_ptr<const TlsContext> context, TimeMs timeout_ms,
    std::optional<http::ProxyServer> proxy = {});

}  // namespace notp::transport
