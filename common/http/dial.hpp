// Opens a TCP connection to a host, directly or through an HTTP proxy.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "common/clock.hpp"
#include "common/http/proxy.hpp"

namespace notp::http {

// Connects on the caller's executor until the boot time `deadline_ms`; tries every address of the
// name in turn. An unresponsive name server takes as long as the system's resolver waits. With a
// proxy, the proxy resolves the target's name, and the socket then carries only bytes between this
// side and the target. kTimeout; kUnavailable, which for a failure of the proxy names it, its
// status line and the remedy; kConfig and the codes of ProxyServer::authorization().
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> dial(HostPort target,
                                                                  std::optional<ProxyServer> proxy,
                                                                  TimeMs deadline_ms);

// An error of dial(): the host that was dialled runs, and nothing listens at the port.
bool is_port_closed(const Error& error);

}  // namespace notp::http
