#include "notp-server/lane_inputs/websocket_feed.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include "common/http/deadline.hpp"
#include "common/spawn.hpp"
#include "common/storage/private_files.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kAuthorizationBytesMax = 8 << 10;

// A WireStream as Beast wants one. Deadlines close the stream from outside.
class BeastStream {
 public:
  using executor_type = asio::any_io_executor;

  explicit BeastStream(WireStream& stream)
      : stream_(&stream), executor_(stream.stream().socket().get_executor()) {}

  executor_type get_executor() const { return executor_; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return initiate(first_of<asio::mutable_buffer>(buffers), std::forward<Token>(token),
                    [this](asio::mutable_buffer one) {
                      return read(static_cast<char*>(one.data()), one.size());
                    });
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return initiate(first_of<asio::const_buffer>(buffers), std::forward<Token>(token),
                    [this](asio::const_buffer one) {
                      return write({static_cast<const char*>(one.data()), one.size()});
                    });
  }

 private:
  using Moved = std::pair<error_code, size_t>;

  asio::awaitable<Moved> read(char* data, size_t size) {
    // The deadline of whoever reads closes the stream.
    const auto got = co_await stream_->read(data, size, kNever);
    if (got) co_return Moved{{}, *got};
    co_return Moved{asio::error::eof, 0};
  }
  asio::awaitable<Moved> write(ByteView bytes) {
    const auto done = co_await stream_->write(bytes, kStreamDeadMs);
    if (done) co_return Moved{{}, bytes.size()};
    co_return Moved{asio::error::broken_pipe, 0};
  }

  // The first one that is not empty.
  template <typename Buffer, typename Buffers>
  static Buffer first_of(const Buffers& buffers) {
    const auto end = asio::buffer_sequence_end(buffers);
    for (auto at = asio::buffer_sequence_begin(buffers); at != end; ++at)
      if (const Buffer one = *at; one.size() > 0) return one;
    return {};
  }
  template <typename Buffer, typename Token, typename Step>
  auto initiate(Buffer first, Token&& token, Step step) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [executor = executor_](auto handler, Buffer buffer, Step run) {
          asio::co_spawn(executor, run_step(buffer, std::move(run)),
                         [handler = std::move(handler)](const std::exception_ptr& broken,
                                                        const Moved& moved) mutable {
                           if (broken)
                             std::move(handler)(error_code(asio::error::operation_aborted),
                                                size_t{0});
                           else
                             std::move(handler)(moved.first, moved.second);
                         });
        },
        token, first, std::move(step));
  }
  // Never completes within the function that starts it.
  template <typename Buffer, typename Step>
  static asio::awaitable<Moved> run_step(Buffer buffer, Step step) {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    if (buffer.size() == 0) co_return Moved{{}, 0};
    auto moved = co_await step(buffer);
    co_return moved;
  }

  WireStream* stream_;
  executor_type executor_;

  // What Beast calls when a WebSocket ends.
  template <typename Handler>
  friend void async_teardown(beast::role_type, BeastStream& stream, Handler&& handler) {
    stream.stream_->close();
    asio::post(stream.executor_, [handler = std::forward<Handler>(handler)]() mutable {
      std::move(handler)(error_code());
    });
  }
  friend void beast_close_socket(BeastStream& stream) { stream.stream_->close(); }
};

using Socket = websocket::stream<BeastStream, false>;

// Of the response to an upgrade, for a person: no body, which may be anybody's.
Error not_upgraded(error_code error, const websocket::response_type& response) {
  if (error == websocket::error::upgrade_declined)
    return {
        response.result_int() == 401 || response.result_int() == 403 ? ErrorCode::kDenied
                                                                     : ErrorCode::kUnavailable,
        fmt::format("the server answers {} to the upgrade to a WebSocket", response.result_int()),
        {}};
  return {ErrorCode::kUnavailable,
          fmt::format("the server does not open a WebSocket: {}", error.message()),
          {}};
}

// One open WebSocket, watched by a timer.
struct Connection {
  explicit Connection(std::unique_ptr<WireStream> open)
      : stream(std::move(open)), socket(BeastStream(*stream)) {}

  std::unique_ptr<WireStream> stream;
  Socket socket;
};

class WebsocketFeed final : public TokenFeed {
 public:
  explicit WebsocketFeed(WebsocketTerms terms) : terms_(std::move(terms)) {}

  asio::awaitable<Error> run(const FeedListener& listener) override;

 private:
  asio::awaitable<Result<void>> upgrade(Connection& at, TimeMs until_ms) const;
  static asio::awaitable<Error> listen(const std::shared_ptr<Connection>& at,
                                       const FeedListener& listener);
  static asio::awaitable<void> ping(std::shared_ptr<Connection> at);

  const WebsocketTerms terms_;
};

asio::awaitable<Result<void>> WebsocketFeed::upgrade(Connection& at, TimeMs until_ms) const {
  Bytes authorization;
  if (!terms_.authorization_file.empty()) {
    auto read = read_private_file(terms_.authorization_file, kAuthorizationBytesMax);
    if (!read) co_return std::unexpected(std::move(read).error());
    authorization = *std::move(read);
    while (authorization.ends_with('\n') || authorization.ends_with('\r')) authorization.pop_back();
  }
  at.socket.read_message_max(kStreamMessageBytesMax);
  at.socket.set_option(websocket::stream_base::decorator(
      [authorization = std::move(authorization)](websocket::request_type& request) {
        request.set(beast::http::field::user_agent, "notp/" NOTP_VERSION);
        if (!authorization.empty()) request.set(beast::http::field::authorization, authorization);
      }));
  bool is_late = false;
  const auto close = [&] {
    is_late = true;
    at.stream->close();
  };
  const http::Deadline deadline(at.socket.get_executor(),
                                std::max<TimeMs>(1, until_ms - read_clock().boot_ms), close);
  websocket::response_type response;
  const auto [error] =
      co_await at.socket.async_handshake(response, terms_.authority, terms_.path, kAwait);
  if (is_late) co_return fail(ErrorCode::kTimeout, "the server did not open a WebSocket in time");
  if (error) co_return std::unexpected(not_upgraded(error, response));
  co_return Result<void>();
}

asio::awaitable<void> WebsocketFeed::ping(std::shared_ptr<Connection> at) {
  const auto [error] = co_await at->socket.async_ping({}, kAwait);
  if (error) at->stream->close();
}

asio::awaitable<Error> WebsocketFeed::listen(const std::shared_ptr<Connection>& at,
                                             const FeedListener& listener) {
  const auto executor = co_await asio::this_coro::executor;
  // Any frame shows that the peer is there, also one that Beast answers itself.
  TimeMs heard_ms = read_clock().boot_ms;
  at->socket.control_callback([&](websocket::frame_type, beast::string_view) {
    heard_ms = read_clock().boot_ms;
    listener.heard();
  });
  bool is_dead = false;
  // Ends with this call; the connection lives on while a ping is under way.
  const auto here = std::make_shared<char>();
  std::unique_ptr<http::Deadline> deadline;
  std::function<void()> look = [&] {
    const TimeMs quiet_ms = read_clock().boot_ms - heard_ms;
    if (quiet_ms >= kStreamQuietMs + kStreamDeadMs) {
      is_dead = true;
      return at->stream->close();
    }
    if (quiet_ms >= kStreamQuietMs) spawn(executor, ping(at));
    // Replaced outside of its own call.
    asio::post(executor, [&, weak = std::weak_ptr(here)] {
      if (weak.lock() && !is_dead)
        deadline = std::make_unique<http::Deadline>(executor, kStreamQuietMs, look);
    });
  };
  deadline = std::make_unique<http::Deadline>(executor, kStreamQuietMs, look);
  beast::flat_buffer buffer(kStreamMessageBytesMax);
  while (true) {
    const auto [error, size] = co_await at->socket.async_read(buffer, kAwait);
    if (is_dead) co_return Error{ErrorCode::kTimeout, "the server does not answer any more", {}};
    if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow)
      co_return Error{ErrorCode::kLimit,
                      fmt::format("a message of more than {} bytes", kStreamMessageBytesMax),
                      {}};
    if (error)
      co_return Error{
          ErrorCode::kUnavailable, fmt::format("the WebSocket ended: {}", error.message()), {}};
    heard_ms = read_clock().boot_ms;
    listener.message({static_cast<const char*>(buffer.data().data()), buffer.size()});
    buffer.clear();
  }
}

asio::awaitable<Error> WebsocketFeed::run(const FeedListener& listener) {
  const TimeMs until_ms = read_clock().boot_ms + kStreamConnectMs;
  auto open = co_await WireStream::connect(terms_.target, until_ms);
  if (!open) co_return std::move(open).error();
  const auto at = std::make_shared<Connection>(*std::move(open));
  auto upgraded = co_await upgrade(*at, until_ms);
  if (!upgraded) co_return std::move(upgraded).error();
  listener.subscribed();
  auto error = co_await listen(at, listener);
  co_return error;
}

}  // namespace

TokenFeedPtr make_websocket_feed(WebsocketTerms terms) {
  return std::make_unique<WebsocketFeed>(std::move(terms));
}

}  // namespace notp::lane_inputs
