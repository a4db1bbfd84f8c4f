// A TCP connection to a host, directly or through an HTTP proxy.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "common/clock.hpp"
#include "common/http/proxy.hpp"

namespace notp::http {

// Connects on the caller's executor until the boot time `deadline_ms`; every address of the name is
// tried in turn. A name server that does not answer is waited for as long as the system's resolver
// does. With a proxy, the proxy resolves the target's name, and what the socket carries from here
// on is between this side and the target. kTimeout; kUnavailable, which names the proxy, its status
// line and what to do where it was the proxy; kConfig and the codes of
// ProxyServer::authorization().
boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> dial(HostPort target,
                                                                  std::optional<ProxyServer> proxy,
                                                                  TimeMs deadline_ms);

}  // namespace notp::http
