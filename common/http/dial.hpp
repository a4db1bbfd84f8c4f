// Opens a TCP connection to a host, directly or through an HTTP proxy.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "common/clock.hpp"
#include "common/http/proxy.hpp"

namespace notp::http {

// Connects on the caller's executor, which runs one handler at a time, until the boot time
// `deadline_ms`; tries every address of the name in turn. A lookup of the system's resolver that
// takes longer goes on, unheard: an io_context has one thread for them, so that it delays later
// lookups, run() until nothing is left to do, and the end of the context. With a
// proxy, the proxy resolves the target's name, and the socket then carries only bytes between this
// side and the target. kTimeout; kUnavailable, which for a failure of the proxy names it, its
// status line and the remedy; kConfig and the codes of ProxyServer::authorization().
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> dial(HostPort target,
                                                                  std::optional<ProxyServer> proxy,
                                                                  TimeMs deadline_ms);

// An error of dial(): the host that was dialled runs, and nothing listens at the port.
bool is_port_closed(const Error& error);

}  // namespace notp::http
