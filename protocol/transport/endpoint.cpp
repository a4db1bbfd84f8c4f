#include "protocol/transport/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/http/dial.hpp"
#include "common/limits.hpp"

namespace notp::transport {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

bool is_closed(const boost::system::error_code& error) {
  return error == asio::error::operation_aborted || error == asio::error::bad_descriptor;
}

}  // namespace

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
  // An immediate retry would fail the same way and use all of the processor.
  asio::steady_timer pause(acceptor.get_executor(),
                           std::chrono::milliseconds(limits::kAcceptPauseMs));
  static_cast<void>(co_await pause.async_wait(kAwait));
  co_return fail(ErrorCode::kOverloaded,
                 fmt::format("a connection could not be accepted: {}", error.message()));
}

std::optional<tcp::socket> accept_waiting(tcp::acceptor& acceptor, asio::any_io_executor executor) {
  boost::system::error_code error;
  acceptor.non_blocking(true, error);
  if (error) return std::nullopt;
  tcp::socket socket(std::move(executor));
  acceptor.accept(socket, error);
  if (error) return std::nullopt;
  return socket;
}

asio::awaitable<Result<std::unique_ptr<Connection>>> connect(
    std::string address, std::shared_ptr<const TlsContext> context, TimeMs timeout_ms,
    std::optional<http::ProxyServer> proxy) {
  const TimeMs deadline_ms = read_clock().boot_ms + timeout_ms;
  const auto at = HostPort::parse(address);
  if (!at) co_return std::unexpected(at.error());
  // The socket's other end is the proxy; messages name the peer behind it.
  const std::string peer =
      proxy ? fmt::format("{} (through the proxy {})", at->text(), proxy->text()) : std::string();
  auto socket = co_await http::dial(*at, std::move(proxy), deadline_ms);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  auto connection = std::make_unique<Connection>(*std::move(socket), std::move(context), peer);
  const TimeMs left_ms = std::max<TimeMs>(1, deadline_ms - read_clock().boot_ms);
  auto shaken = co_await connection->handshake(left_ms);
  if (!shaken) co_return std::unexpected(std::move(shaken).error());
  co_return connection;
}

}  // namespace notp::transport
