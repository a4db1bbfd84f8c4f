#include "common/http/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>

#include "common/http/proxy.hpp"

namespace notp::http {

namespace asio = boost::asio;
namespace message = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr size_t kPieceBytes = 32 << 10;  // of one read
// Interim responses (RFC 9110 §15.2) before the final one.
constexpr int kInterimMax = 4;

bool breaks_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

bool names_length(const Call& call) {
  return !call.body.empty() || call.method == "POST" || call.method == "PUT";
}

std::unexpected<Error> not_http(error_code error) {
  if (error == message::error::body_limit || error == message::error::header_limit)
    return fail(ErrorCode::kLimit, error.message());
  return fail(ErrorCode::kMessage, fmt::format("the answer is not HTTP: {}", error.message()));
}

Response to_response(message::response<message::string_body>&& from) {
  Response response;
  response.status = from.result_int();
  response.content_type = from[message::field::content_type];
  for (const auto& field : from) response.headers.emplace_back(field.name_string(), field.value());
  response.body = std::move(from.body());
  return response;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

Result<Bytes> request_head(const Call& call, const Url& url) {
  if (!is_token(call.method))
    return fail(ErrorCode::kUsage, fmt::format("'{}' is not a method", printable(call.method)));
  Bytes head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: notp/{}\r\n", call.method,
                           url.target, url.authority, NOTP_VERSION);
  for (const auto& [name, value] : call.headers) {
    if (!is_token(name) || breaks_line(value))
      return fail(ErrorCode::kUsage,
                  fmt::format("the header '{}' cannot be sent", printable(name)));
    head += fmt::format("{}: {}\r\n", name, value);
  }
  if (names_length(call)) head += fmt::format("Content-Length: {}\r\n", call.body.size());
  return head += "Connection: close\r\n\r\n";
}

// Called directly after a failed step: OpenSSL's errors belong to the thread.
std::unexpected<Error> Exchange::failed() const {
  if (!tls_host_.empty()) return std::unexpected(ClientTls::reason(stream_, tls_host_));
  return fail(ErrorCode::kUnavailable, "the connection broke");
}

asio::awaitable<bool> Exchange::wait(Stream::Step step) {
  const bool is_ready = co_await stream_.wait(step);
  has_ended_ = !is_ready;
  co_return is_ready;
}

std::unexpected<Error> Exchange::ended() {
  return fail(ErrorCode::kUnavailable, "the call was ended");
}

asio::awaitable<Result<void>> Exchange::shake_hands(const ClientTls& tls, std::string host) {
  if (auto started = tls.start(stream_, host); !started) co_return started;
  tls_host_ = std::move(host);
  while (true) {
    const Stream::Step step = stream_.handshake();
    if (step == Stream::Step::kDone) co_return tls.check_pins(stream_, tls_host_);
    if (step == Stream::Step::kFailed || step == Stream::Step::kEnd) co_return failed();
    if (!co_await wait(step)) co_return ended();
  }
}

// A server that refuses a request may close before it has read all of it: its response counts.
asio::awaitable<Result<Response>> Exchange::run(Bytes head) {
  const Result<void> sent = co_await send(head);
  // A cancelled coroutine throws at its next co_await.
  if (has_ended_) co_return ended();
  auto response = co_await receive();
  if (!sent && !response) co_return std::unexpected(sent.error());
  co_return response;
}

asio::awaitable<Result<void>> Exchange::send(ByteView head) {
  ByteView body = call_.body;
  while (!head.empty() || !body.empty()) {
    const auto moved = stream_.write(head, body);
    if (moved.step == Stream::Step::kWantWrite || moved.step == Stream::Step::kWantRead) {
      if (!co_await wait(moved.step)) co_return ended();
      continue;
    }
    if (moved.step != Stream::Step::kDone) co_return failed();
    const size_t of_head = std::min(head.size(), moved.bytes);
    head.remove_prefix(of_head);
    body.remove_prefix(moved.bytes - of_head);
  }
  co_return Result<void>();
}

asio::awaitable<Result<Response>> Exchange::receive() {
  for (int interim = 0; interim <= kInterimMax; ++interim) {
    start_message();
    if (auto read = co_await read_message(); !read)
      co_return std::unexpected(std::move(read).error());
    if (parser_->get().result_int() / 100 != 1) co_return to_response(parser_->release());
  }
  co_return fail(ErrorCode::kMessage, "the server gave interim answers alone");
}

void Exchange::start_message() {
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(static_cast<uint32_t>(call_.head_bytes_max));
  parser_->body_limit(call_.answer_bytes_max);
  if (call_.method == "HEAD") parser_->skip(true);
}

asio::awaitable<Result<void>> Exchange::read_message() {
  while (true) {
    const auto needs_more = parse_input();
    if (!needs_more) co_return std::unexpected(needs_more.error());
    if (!*needs_more) co_return Result<void>();
    if (at_end_) co_return parse_end();
    if (auto read = co_await read_more(); !read) co_return read;
  }
}

Result<bool> Exchange::parse_input() {
  while (!parser_->is_done() && !input_.empty()) {
    error_code error;
    const size_t used = parser_->put(asio::buffer(input_), error);
    input_.erase(0, used);
    if (error && error != message::error::need_more) return not_http(error);
    if (error || used == 0) break;
  }
  // The rest is a part of a line, which the parser does not limit within a chunked body.
  if (!parser_->is_done() && input_.size() > call_.head_bytes_max)
    return fail(ErrorCode::kLimit, "a line of the answer is too long");
  return !parser_->is_done();
}

Result<void> Exchange::parse_end() {
  if (!parser_->got_some())
    return fail(ErrorCode::kUnavailable, "the server closed the connection without an answer");
  error_code error;
  parser_->put_eof(error);
  if (!error) return {};
  if (error == message::error::partial_message || error == message::error::end_of_stream)
    return fail(ErrorCode::kUnavailable, "the connection ended in the middle of the answer");
  return not_http(error);
}

asio::awaitable<Result<void>> Exchange::read_more() {
  while (true) {
    const size_t had = input_.size();
    input_.resize(had + kPieceBytes);
    const auto moved = stream_.read(input_.data() + had, kPieceBytes);
    input_.resize(had + (moved.step == Stream::Step::kDone ? moved.bytes : 0));
    if (moved.step == Stream::Step::kDone) co_return Result<void>();
    if (moved.step == Stream::Step::kEnd) {
      at_end_ = true;
      co_return Result<void>();
    }
    if (moved.step == Stream::Step::kFailed) co_return failed();
    if (!co_await wait(moved.step)) co_return ended();
  }
}

}  // namespace notp::http
