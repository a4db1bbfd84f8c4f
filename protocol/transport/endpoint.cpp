#include "protocol/transport/endpoint.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <memory>
#include <span>
#include <vector>

#include "common/limits.hpp"

namespace notp {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

std::unexpected<Error> bad_address(std::string_view text) {
  return fail(
      ErrorCode::kConfig,
      fmt::format("'{}' is not an address; write host:port or [IPv6]:port", printable(text)));
}

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(const HostPort& at) {
  boost::system::error_code error;
  const auto numeric = asio::ip::make_address(at.host, error);
  if (!error) co_return std::vector{tcp::endpoint(numeric, at.port)};
  tcp::resolver resolver(co_await asio::this_coro::executor);
  const auto [failed, found] =
      co_await resolver.async_resolve(at.host, std::to_string(at.port), kAwait);
  if (failed)
    co_return fail(ErrorCode::kUnavailable,
                   fmt::format("the name {} cannot be resolved: {}", at.host, failed.message()));
  co_return std::vector<tcp::endpoint>(found.begin(), found.end());
}

// Closes the socket when the time has passed; the state outlives the object, as a timer that has
// expired still calls its handler.
class ConnectDeadline {
 public:
  ConnectDeadline(tcp::socket& socket, TimeMs timeout_ms)
      : timer_(socket.get_executor(), std::chrono::milliseconds(timeout_ms)),
        socket_(std::make_shared<tcp::socket*>(&socket)) {
    timer_.async_wait([shared = socket_](const boost::system::error_code& error) {
      boost::system::error_code ignored;
      if (!error && *shared != nullptr) (*shared)->close(ignored);
    });
  }
  ~ConnectDeadline() { *socket_ = nullptr; }
  ConnectDeadline(const ConnectDeadline&) = delete;
  ConnectDeadline& operator=(const ConnectDeadline&) = delete;

 private:
  asio::steady_timer timer_;
  std::shared_ptr<tcp::socket*> socket_;
};

asio::awaitable<Result<tcp::socket>> connect_tcp(const std::vector<tcp::endpoint>& endpoints,
                                                 std::string_view address, TimeMs deadline_ms) {
  std::string why = "the name has no address";
  const auto executor = co_await asio::this_coro::executor;
  for (const tcp::endpoint& endpoint : endpoints) {
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    if (left_ms <= 0) break;
    tcp::socket socket(executor);
    const ConnectDeadline deadline(socket, left_ms);
    const auto [error] = co_await socket.async_connect(endpoint, kAwait);
    if (!error && socket.is_open()) co_return std::move(socket);
    why = error.message();
  }
  if (read_clock().boot_ms >= deadline_ms)
    co_return fail(
        ErrorCode::kTimeout,
        fmt::format("{} did not accept a connection in time; is the registry running and "
                    "the way to it open?",
                    address));
  co_return fail(
      ErrorCode::kUnavailable,
      fmt::format("cannot connect to {}: {}; is the registry running there?", address, why));
}

bool is_closed(const boost::system::error_code& error) {
  return error == asio::error::operation_aborted || error == asio::error::bad_descriptor;
}

}  // namespace

Result<HostPort> HostPort::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad_address(text);
  std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || bracketed != host.contains(':')) return bad_address(text);
  HostPort out{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return bad_address(text);
  return out;
}

bool HostPort::is_wildcard() const {
  // As connect() would read it: "0" and "0x0" are the same address as "0.0.0.0".
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  if (found->ai_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr.s_addr == INADDR_ANY;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(found->ai_addr)->sin6_addr;
  const bool is_mapped_any =
      IN6_IS_ADDR_V4MAPPED(&address) && std::ranges::all_of(std::span(address.s6_addr).subspan(12),
                                                            [](uint8_t part) { return part == 0; });
  return IN6_IS_ADDR_UNSPECIFIED(&address) || is_mapped_any;
}

Result<void> check_reachable_address(std::string_view text) {
  NOTP_ASSIGN(const HostPort at, HostPort::parse(text));
  if (at.is_wildcard())
    return fail(ErrorCode::kConfig,
                fmt::format("{} is an address to listen on, not one that another machine can "
                            "connect to; write a name or an address of this machine",
                            printable(text)));
  if (at.port == 0)
    return fail(ErrorCode::kConfig,
                fmt::format("{} has port 0, which nobody can connect to", printable(text)));
  return {};
}

Result<tcp::acceptor> listen(asio::any_io_executor executor, std::string_view address) {
  NOTP_ASSIGN(const HostPort at, HostPort::parse(address));
  boost::system::error_code error;
  const auto numeric = asio::ip::make_address(at.host, error);
  if (error)
    return fail(ErrorCode::kConfig,
                fmt::format("'{}' is not a numeric address to listen on", address));
  const tcp::endpoint endpoint(numeric, at.port);
  tcp::acceptor acceptor(std::move(executor));
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error)
    return fail(ErrorCode::kUnavailable,
                fmt::format("cannot listen on {}: {}", address, error.message()));
  return acceptor;
}

asio::awaitable<Result<tcp::socket>> accept(tcp::acceptor& acceptor,
                                            asio::any_io_executor executor) {
  auto [error, socket] = co_await acceptor.async_accept(executor, kAwait);
  if (!error) co_return tcp::socket(std::move(socket));
  if (is_closed(error)) co_return fail(ErrorCode::kCancelled, "the listener is closed");
  // At once would find the same and take all of the processor.
  asio::steady_timer pause(acceptor.get_executor(),
                           std::chrono::milliseconds(limits::kAcceptPauseMs));
  static_cast<void>(co_await pause.async_wait(kAwait));
  co_return fail(ErrorCode::kOverloaded,
                 fmt::format("a connection could not be accepted: {}", error.message()));
}

asio::awaitable<Result<std::unique_ptr<Connection>>> connect(
    std::string address, std::shared_ptr<const TlsContext> context, TimeMs timeout_ms) {
  const TimeMs deadline_ms = read_clock().boot_ms + timeout_ms;
  const auto at = HostPort::parse(address);
  if (!at) co_return std::unexpected(at.error());
  auto endpoints = co_await resolve(*at);
  if (!endpoints) co_return std::unexpected(std::move(endpoints).error());
  auto socket = co_await connect_tcp(*endpoints, address, deadline_ms);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  auto connection = std::make_unique<Connection>(*std::move(socket), std::move(context));
  const TimeMs left_ms = std::max<TimeMs>(1, deadline_ms - read_clock().boot_ms);
  auto shaken = co_await connection->handshake(left_ms);
  if (!shaken) co_return std::unexpected(std::move(shaken).error());
  co_return connection;
}

}  // namespace notp
