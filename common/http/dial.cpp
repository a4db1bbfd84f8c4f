#include "common/http/dial.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <vector>

#include "common/http/deadline.hpp"

namespace notp::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace message = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Interim answers (RFC 9110 §15.2) before the final one.
constexpr int kInterimMax = 4;
// Some proxies answer 401 for an unknown user.
constexpr unsigned kUnauthorized = 401, kAuthenticationRequired = 407;
constexpr size_t kStatusTextMax = 120;
// In the context of an error, for is_port_closed() and for logs.
constexpr const char* kConnection = "connection";
constexpr const char* kRefused = "refused";

using ResponseParser = message::response_parser<message::empty_body>;

// For Deadline, which is destroyed before the socket.
std::function<void()> closing(tcp::socket& socket) {
  return [&socket] {
    error_code ignored;
    socket.close(ignored);
  };
}

// The lookup of a name, which may outlive its caller: getaddrinfo() cannot be ended.
struct Lookup {
  Lookup(const asio::any_io_executor& executor, TimeMs timeout_ms)
      : resolver(executor), ended(executor, std::chrono::milliseconds(timeout_ms)) {}

  tcp::resolver resolver;
  asio::steady_timer ended;  // or the deadline has passed
  bool is_done = false;
  error_code failed;
  tcp::resolver::results_type found;
};

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(const HostPort& at,
                                                            TimeMs deadline_ms) {
  error_code error;
  const auto numeric = asio::ip::make_address(at.host, error);
  if (!error) co_return std::vector{tcp::endpoint(numeric, at.port)};
  const auto lookup = std::make_shared<Lookup>(
      co_await asio::this_coro::executor, std::max<TimeMs>(0, deadline_ms - read_clock().boot_ms));
  lookup->resolver.async_resolve(at.host, std::to_string(at.port),
                                 [lookup](error_code failed, tcp::resolver::results_type found) {
                                   lookup->is_done = true;
                                   lookup->failed = failed;
                                   lookup->found = std::move(found);
                                   lookup->ended.cancel();
                                 });
  co_await lookup->ended.async_wait(kAwait);
  if (!lookup->is_done) {
    lookup->resolver.cancel();  // one that has not begun never does
    co_return fail(ErrorCode::kTimeout,
                   fmt::format("the name {} was not resolved in time; does the name server of this "
                               "machine answer?",
                               printable(at.host)));
  }
  if (lookup->failed)
    co_return fail(ErrorCode::kUnavailable,
                   fmt::format("the name {} cannot be resolved: {}", printable(at.host),
                               lookup->failed.message()));
  co_return std::vector<tcp::endpoint>(lookup->found.begin(), lookup->found.end());
}

asio::awaitable<Result<tcp::socket>> connect_tcp(const HostPort& at, TimeMs deadline_ms) {
  auto endpoints = co_await resolve(at, deadline_ms);
  if (!endpoints) co_return std::unexpected(std::move(endpoints).error());
  std::string why = "the name has no address";
  bool are_all_closed = !endpoints->empty();
  const auto executor = co_await asio::this_coro::executor;
  for (const tcp::endpoint& endpoint : *endpoints) {
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    if (left_ms <= 0) break;
    tcp::socket socket(executor);
    const Deadline deadline(executor, left_ms, closing(socket));
    const auto [error] = co_await socket.async_connect(endpoint, kAwait);
    if (!error && socket.is_open()) co_return std::move(socket);
    why = error.message();
    are_all_closed = are_all_closed && error == asio::error::connection_refused;
  }
  if (read_clock().boot_ms >= deadline_ms)
    co_return fail(ErrorCode::kTimeout,
                   fmt::format("{} did not accept a connection in time; is the server running and "
                               "the way to it open?",
                               at.text()));
  Error unreached{
      ErrorCode::kUnavailable,
      fmt::format("cannot connect to {}: {}; is the server running there?", at.text(), why),
      {}};
  if (are_all_closed) unreached = std::move(unreached).with(kConnection, kRefused);
  co_return std::unexpected(std::move(unreached));
}

std::unexpected<Error> refused(ErrorCode code, const ProxyServer& proxy, const HostPort& target,
                               std::string_view what) {
  return fail(code, fmt::format("the proxy {}, asked for a tunnel to {}, {}", proxy.text(),
                                target.text(), what));
}

// Describes what the proxy failed to do, and the remedy.
std::unexpected<Error> broken(const ProxyServer& proxy, const HostPort& target, error_code error,
                              bool has_begun) {
  if (error == message::error::header_limit || error == message::error::buffer_overflow)
    return refused(ErrorCode::kUnavailable, proxy, target,
                   fmt::format("answered with a header of more than {} bytes; is it an HTTP proxy?",
                               kProxyHeaderBytesMax));
  if (error == message::error::end_of_stream || error == message::error::partial_message)
    return refused(ErrorCode::kUnavailable, proxy, target,
                   has_begun ? "closed the connection in the middle of its answer; its log may say "
                               "why"
                             : "closed the connection without an answer; its log may say why, or "
                               "it is no HTTP proxy (a TLS port?)");
  if (error.category() == message::make_error_code(message::error::bad_version).category())
    return refused(ErrorCode::kUnavailable, proxy, target,
                   "answered with something that is not HTTP; look at its address and port");
  return refused(ErrorCode::kUnavailable, proxy, target,
                 fmt::format("broke the connection: {}", error.message()));
}

// Returns the schemes that the proxy accepts: "Negotiate, Basic realm=...".
std::string challenges_of(const message::fields& fields) {
  std::string challenges;
  for (const auto& field : fields)
    if (field.name() == message::field::proxy_authenticate ||
        field.name() == message::field::www_authenticate)
      challenges += fmt::format("{}{}", challenges.empty() ? "" : ", ",
                                std::string_view(field.value().data(), field.value().size()));
  return challenges;
}

bool names_basic(std::string_view challenges) {
  constexpr std::string_view kBasic = "basic";
  for (size_t at = 0; at + kBasic.size() <= challenges.size(); ++at)
    if (beast::iequals(challenges.substr(at, kBasic.size()), kBasic)) return true;
  return false;
}

std::string about_credentials(const ProxyServer& proxy, const message::fields& fields) {
  const std::string challenges = challenges_of(fields);
  if (!challenges.empty() && !names_basic(challenges))
    return fmt::format(
        "it takes {} and this program shows Basic alone: ask for Basic at the "
        "proxy, or go through a local one that speaks to it",
        printable(challenges, kStatusTextMax));
  if (proxy.user.empty())
    return "it wants a user and a password: write http://USER@host:port as the proxy of the "
           "configuration with the password in a file, proxy_password_file, or "
           "http://USER:PASSWORD@host:port in the variable";
  return fmt::format("it does not take the password of the user '{}': correct it",
                     printable(proxy.user, kStatusTextMax));
}

Result<void> judge(const ProxyServer& proxy, const HostPort& target,
                   const message::response_header<>& answer, bool says_more) {
  const unsigned status = answer.result_int();
  const std::string line = fmt::format("{} {}", status, printable(answer.reason(), kStatusTextMax));
  if (status / 100 == 2) {
    if (!says_more) return {};
    return refused(
        ErrorCode::kUnavailable, proxy, target,
        fmt::format("answered {} and then sent bytes that are not the target's; is it an "
                    "HTTP proxy?",
                    line));
  }
  if (status == kAuthenticationRequired || status == kUnauthorized)
    return refused(ErrorCode::kUnavailable, proxy, target,
                   fmt::format("answered {}: {}", line, about_credentials(proxy, answer)));
  const std::string_view advice =
      status / 100 == 5
          ? "the proxy may be out of order, or cannot resolve or reach the target from where it is"
          : "whoever runs the proxy has to let CONNECT to this host and port through";
  return refused(ErrorCode::kUnavailable, proxy, target,
                 fmt::format("answered {}: {}", line, advice));
}

asio::awaitable<Result<void>> converse(tcp::socket& socket, const ProxyServer& proxy,
                                       const HostPort& target, std::string authorization) {
  message::request<message::empty_body> request(message::verb::connect, target.text(), 11);
  request.set(message::field::host, target.text());
  request.set(message::field::user_agent, "notp/" NOTP_VERSION);
  if (!authorization.empty()) request.set(message::field::proxy_authorization, authorization);
  const auto [write_error, written] = co_await message::async_write(socket, request, kAwait);
  if (write_error) co_return broken(proxy, target, write_error, false);
  beast::flat_buffer buffer(kProxyHeaderBytesMax);
  for (int answers = 0; answers <= kInterimMax; ++answers) {
    ResponseParser parser;
    parser.header_limit(static_cast<uint32_t>(kProxyHeaderBytesMax));
    parser.skip(true);  // the tunnel begins, whatever length a success states (RFC 9110 §9.3.6)
    const auto [error, read] = co_await message::async_read_header(socket, buffer, parser, kAwait);
    if (error) co_return broken(proxy, target, error, parser.got_some());
    if (parser.get().result_int() / 100 == 1) continue;
    // The client begins TLS: an extra byte at this point cannot be the target's.
    co_return judge(proxy, target, parser.get().base(), buffer.size() > 0);
  }
  co_return refused(ErrorCode::kUnavailable, proxy, target,
                    "gave interim answers alone; is it an HTTP proxy?");
}

asio::awaitable<Result<tcp::socket>> tunnel(const HostPort& target, const ProxyServer& proxy,
                                            TimeMs deadline_ms) {
  auto authorization = proxy.authorization();
  if (!authorization) co_return std::unexpected(std::move(authorization).error());
  auto socket = co_await connect_tcp(proxy.at, deadline_ms);
  if (!socket)
    co_return std::unexpected(
        std::move(socket).error().in(fmt::format("the proxy {}", proxy.text())));
  Result<void> open;
  {
    const TimeMs left_ms = std::max<TimeMs>(1, deadline_ms - read_clock().boot_ms);
    const Deadline deadline(socket->get_executor(), std::min(left_ms, kProxyAnswerMs),
                            closing(*socket));
    open = co_await converse(*socket, proxy, target, *std::move(authorization));
  }
  if (!socket->is_open())
    co_return refused(ErrorCode::kTimeout, proxy, target,
                      "gave no answer in time; is it an HTTP proxy, and does it reach the target?");
  if (!open) co_return std::unexpected(std::move(open).error());
  co_return *std::move(socket);
}

}  // namespace

asio::awaitable<Result<tcp::socket>> dial(HostPort target, std::optional<ProxyServer> proxy,
                                          TimeMs deadline_ms) {
  if (proxy) {
    auto through = co_await tunnel(target, *proxy, deadline_ms);
    co_return through;
  }
  auto socket = co_await connect_tcp(target, deadline_ms);
  co_return socket;
}

bool is_port_closed(const Error& error) {
  return std::ranges::any_of(error.context, [](const auto& fact) {
    return fact.first == kConnection && fact.second == kRefused;
  });
}

}  // namespace notp::http
