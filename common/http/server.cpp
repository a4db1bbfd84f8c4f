#include "common/http/server.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <set>

#include "common/spawn.hpp"

namespace notp::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace message = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// A web page that a person on this machine visits can make its own name resolve to 127.0.0.1 and
// then talk to this port from the browser; the Host header gives it away.
bool names_loopback(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.find(':'));
  if (host.empty() || host == "localhost") return true;
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

struct Connection {
  explicit Connection(tcp::socket socket) : stream(std::move(socket)) {}
  beast::tcp_stream stream;
  bool answering = false;  // on the connection's strand

  void close() {
    error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream.close();
  }
};
using ConnectionPtr = std::shared_ptr<Connection>;

asio::awaitable<void> until_closed(ConnectionPtr connection) {
  auto& socket = connection->stream.socket();
  const auto [error] = co_await socket.async_wait(tcp::socket::wait_read, kAwait);
  if (error) co_return;
  char byte = 0;
  if (::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) co_return;
  // The next request is here already; behind it the end of the connection cannot be seen.
  asio::steady_timer never(socket.get_executor(), asio::steady_timer::time_point::max());
  co_await never.async_wait(kAwait);
}

Request to_request(message::request<message::string_body>&& from, ConnectionPtr connection) {
  Request request;
  request.method = from.method_string();
  const std::string_view target(from.target().data(), from.target().size());
  const size_t mark = target.find('?');
  request.raw_path = target.substr(0, mark);
  request.path = percent_decode(request.raw_path).value_or("");
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  for (const auto& field : from) request.headers.emplace_back(field.name_string(), field.value());
  request.body = std::move(from.body());
  request.until_closed = [connection = std::move(connection)] { return until_closed(connection); };
  return request;
}

Response refusal(error_code error) {
  if (error == message::error::body_limit)
    return error_response(413, "request_too_large", "the request body is larger than allowed");
  if (error == message::error::header_limit)
    return error_response(431, "request_too_large", "the request header is larger than allowed");
  return error_response(400, "invalid_request", fmt::format("not HTTP/1.1: {}", error.message()));
}

}  // namespace

class Server::State : public std::enable_shared_from_this<State> {
 public:
  State(asio::any_io_executor executor, TcpEndpoint endpoint, ServerOptions options,
        Handler handler)
      : endpoint_(std::move(endpoint)),
        options_(std::move(options)),
        handler_(std::move(handler)),
        executor_(std::move(executor)),
        acceptor_(asio::make_strand(executor_)),
        grace_(acceptor_.get_executor()) {}

  Result<void> open() {
    error_code error;
    const auto address = asio::ip::make_address(endpoint_.address, error);
    if (error)
      return fail(ErrorCode::kConfig,
                  fmt::format("{} is not an IP address to listen on", endpoint_.address));
    if (!address.is_loopback() && !endpoint_.beyond_loopback)
      return fail(
          ErrorCode::kConfig,
          fmt::format("{} is not a loopback address; HTTP here has no identities, so it stays on "
                      "this machine",
                      endpoint_.address));
    const tcp::endpoint endpoint(address, endpoint_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error)
      return fail(ErrorCode::kIo, fmt::format("cannot listen on {}:{}: {}", endpoint_.address,
                                              endpoint_.port, error.message()));
    spawn(acceptor_.get_executor(), accept(shared_from_this()));
    return {};
  }

  uint16_t port() const { return port_; }
  std::string address() const { return fmt::format("{}:{}", endpoint_.address, port_); }

  void stop(int64_t grace_ms) {
    asio::post(acceptor_.get_executor(), [self = shared_from_this(), grace_ms] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->each([](Connection& connection) {
        if (!connection.answering) connection.close();
      });
      self->grace_.expires_after(std::chrono::milliseconds(grace_ms));
      self->grace_.async_wait([self](error_code) { self->each(&Connection::close); });
    });
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }

  void close() {
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->grace_.cancel();
      self->each(&Connection::close);
    });
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }

 private:
  template <typename Action>
  void each(Action action) {
    std::set<ConnectionPtr> connections;
    {
      const std::lock_guard guard(mutex_);
      connections = connections_;
    }
    for (const auto& connection : connections)
      asio::post(connection->stream.get_executor(),
                 [connection, action] { std::invoke(action, *connection); });
  }

  bool stopping() {
    const std::lock_guard guard(mutex_);
    return stopping_;
  }

  bool add(const ConnectionPtr& connection) {
    const std::lock_guard guard(mutex_);
    return !stopping_ && connections_.size() < limits::kHttpConnectionsMax &&
           connections_.insert(connection).second;
  }

  static asio::awaitable<void> accept(std::shared_ptr<State> self) {
    asio::steady_timer pause(self->acceptor_.get_executor());
    while (self->acceptor_.is_open()) {
      auto [error, socket] =
          co_await self->acceptor_.async_accept(asio::make_strand(self->executor_), kAwait);
      if (error == asio::error::operation_aborted || !self->acceptor_.is_open()) co_return;
      if (error) {  // out of descriptors: wait until some are free
        pause.expires_after(std::chrono::milliseconds(50));
        co_await pause.async_wait(kAwait);
        continue;
      }
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      const auto connection = std::make_shared<Connection>(std::move(socket));
      if (!self->add(connection)) continue;  // closes it
      spawn(connection->stream.get_executor(), serve(self, connection));
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, ConnectionPtr connection) {
    beast::flat_buffer buffer;
    bool open = true;
    while (open && !self->stopping()) open = co_await self->serve_one(connection, buffer);
    connection->close();
    const std::lock_guard guard(self->mutex_);
    self->connections_.erase(connection);
  }

  // Reads and answers one request; false when the connection is to be closed.
  asio::awaitable<bool> serve_one(ConnectionPtr connection, beast::flat_buffer& buffer) {
    auto& stream = connection->stream;
    stream.expires_after(std::chrono::milliseconds(options_.idle_ms));
    message::request_parser<message::string_body> parser;
    parser.header_limit(static_cast<uint32_t>(limits::kHttpHeaderBytesMax));
    parser.body_limit(options_.body_bytes_max);
    const error_code error = co_await read(stream, buffer, parser);
    if (error.category() == message::make_error_code(message::error::body_limit).category() &&
        error != message::error::end_of_stream && error != message::error::partial_message) {
      co_await write(stream, refusal(error), 11, false, false);
      co_return false;
    }
    if (error) co_return false;
    const unsigned version = parser.get().version();
    const bool is_head = parser.get().method() == message::verb::head;
    bool keep_alive = parser.get().keep_alive();
    connection->answering = true;
    stream.expires_never();
    const Request request = to_request(parser.release(), connection);
    Response response = co_await answer(request);
    keep_alive = keep_alive && !stopping();
    stream.expires_after(std::chrono::milliseconds(options_.idle_ms));
    const bool written = co_await write(stream, response, version, keep_alive, is_head);
    connection->answering = false;
    co_return written&& keep_alive;
  }

  static asio::awaitable<error_code> read(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                                          message::request_parser<message::string_body>& parser) {
    auto [header_error, header_bytes] =
        co_await message::async_read_header(stream, buffer, parser, kAwait);
    if (header_error) co_return header_error;
    if (beast::iequals(parser.get()[message::field::expect], "100-continue")) {
      message::response<message::empty_body> go_on(message::status::continue_, 11);
      auto [error, bytes] = co_await message::async_write(stream, go_on, kAwait);
      if (error) co_return error;
    }
    if (parser.is_done()) co_return error_code();
    auto [error, bytes] = co_await message::async_read(stream, buffer, parser, kAwait);
    co_return error;
  }

  asio::awaitable<Response> answer(const Request& request) {
    if (request.path.empty() || request.path.front() != '/')
      co_return error_response(400, "invalid_request", "the request target is not a path");
    if (!endpoint_.beyond_loopback && !names_loopback(request.header("host")))
      co_return error_response(421, "misdirected_request",
                               "the Host header names another machine; ask for localhost");
    std::string what;
    try {
      co_return co_await handler_(request);
    } catch (const std::exception& exception) {
      what = exception.what();
    }
    co_return error_response(500, "internal_error", what);
  }

  static asio::awaitable<bool> write(beast::tcp_stream& stream, const Response& response,
                                     unsigned version, bool keep_alive, bool is_head) {
    message::response<message::span_body<const char>> out;
    out.version(version);
    out.result(response.status);
    for (const auto& [name, value] : response.headers) out.insert(name, value);
    const ByteView content = response.content();
    const bool has_body =
        response.status >= 200 && response.status != 204 && response.status != 304;
    if (has_body) {
      out.set(message::field::content_type, response.content_type);
      out.body() = {content.data(), is_head ? 0 : content.size()};
      out.content_length(content.size());
    }
    out.keep_alive(keep_alive);
    message::serializer<false, message::span_body<const char>> serializer(out);
    auto [error, bytes] = is_head ? co_await message::async_write_header(stream, serializer, kAwait)
                                  : co_await message::async_write(stream, serializer, kAwait);
    co_return !error;
  }

  const TcpEndpoint endpoint_;
  const ServerOptions options_;
  const Handler handler_;
  const asio::any_io_executor executor_;
  uint16_t port_ = 0;

  tcp::acceptor acceptor_;  // on its strand, as the timer
  asio::steady_timer grace_;

  std::mutex mutex_;  // guards what follows
  std::set<ConnectionPtr> connections_;
  bool stopping_ = false;
};

Result<std::unique_ptr<Server>> Server::listen(asio::any_io_executor executor, Endpoint endpoint,
                                               ServerOptions options, Handler handler) {
  auto* tcp_endpoint = std::get_if<TcpEndpoint>(&endpoint);
  if (tcp_endpoint == nullptr)
    return fail(ErrorCode::kConfig, "this build listens on TCP ports alone");
  auto state = std::make_shared<State>(std::move(executor), std::move(*tcp_endpoint),
                                       std::move(options), std::move(handler));
  NOTP_TRY(state->open());
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::~Server() { state_->close(); }

uint16_t Server::port() const { return state_->port(); }

std::string Server::address() const { return state_->address(); }

void Server::set_options(ServerOptions) {}

Result<bool> Server::reload(const TlsEndpoint&) {
  return fail(ErrorCode::kConfig, "this server has no certificates");
}

void Server::stop(int64_t grace_ms) { state_->stop(grace_ms); }

}  // namespace notp::http
