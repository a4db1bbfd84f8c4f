#include "common/http/connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/http/coding.hpp"
#include "common/http/guard.hpp"
#include "common/http/response_head.hpp"

namespace notp::http {
namespace asio = boost::asio;

namespace {

constexpr size_t kPieceBytes = 32 << 10;  // of one read
// A client that keeps up must not block the thread for the others.
constexpr size_t kYieldBytes = 256 << 10;
constexpr int64_t kMsPerSecond = 1000;
constexpr int64_t kLookMs = 500;

TimeMs boot_ms() { return read_clock().boot_ms; }

// Returns until when a transfer has kept up: now, or when the slowest allowed rate would have
// delivered the received bytes. A client that sends a byte now and then has fallen behind.
TimeMs kept_up_ms(TimeMs began_ms, uint64_t bytes) {
  const auto allowed_ms =
      static_cast<TimeMs>(bytes * kMsPerSecond / limits::kHttpBytesPerSecondMin);
  return std::min(boot_ms(), began_ms + allowed_ms);
}

Response overloaded() {
  auto response = error_response(503, "overloaded",
                                 "too many large requests and answers are under way; try again");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

asio::awaitable<void> yield() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

// The handler may throw before it returns a coroutine.
asio::awaitable<Response> call(const Handler& handler, const Request& request) {
  co_return co_await handler(request);
}

Response failed(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& exception) {
    return error_response(500, "internal_error", exception.what());
  } catch (...) {
    return error_response(500, "internal_error", "the handler failed");
  }
}

asio::awaitable<std::optional<Bytes>> pack(ByteView content) {
  Gzip gzip;
  while (!content.empty()) {
    if (!gzip.step(content)) co_return std::nullopt;
    if (!content.empty()) co_await yield();
  }
  auto packed = gzip.finish();
  if (!packed) co_return std::nullopt;
  co_return *std::move(packed);
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerParts> parts, Stream::Socket socket, Peer peer)
    : parts_(std::move(parts)),
      stream_(std::move(socket)),
      peer_(std::move(peer)),
      wake_(std::make_shared<asio::steady_timer>(executor())) {}

void Connection::make_slot() {
  slot_ = std::make_shared<Slot>([weak = weak_from_this(), executor = executor()] {
    asio::post(executor, [weak] {
      if (const auto self = weak.lock()) self->close();
    });
  });
}

void Connection::close() {
  closed_ = true;
  stream_.close();
  wake_->cancel();
}

void Connection::abort() {
  asio::post(executor(), [self = shared_from_this()] {
    self->close();
    if (self->running_ != nullptr)
      self->running_->emit(asio::cancellation_type::terminal | asio::cancellation_type::total);
  });
}

bool Connection::enter(Phase phase, int64_t time_ms) {
  const TimeMs now_ms = boot_ms();
  return !closed_ && slot_->enter(phase, now_ms, time_ms == kNever ? kNever : now_ms + time_ms);
}

Stream::Step Connection::pull() {
  std::array<char, kPieceBytes> piece;
  const auto moved = stream_.read(piece.data(), piece.size());
  if (moved.step == Stream::Step::kDone) input_.append(piece.data(), moved.bytes);
  return moved.step;
}

asio::awaitable<bool> Connection::more() {
  while (true) {
    const Stream::Step step = pull();
    if (step == Stream::Step::kDone) co_return true;
    if (step != Stream::Step::kWantRead && step != Stream::Step::kWantWrite) co_return false;
    if (!co_await stream_.wait(step)) co_return false;
  }
}

asio::awaitable<void> Connection::serve() {
  const auto self = shared_from_this();  // until the end
  bool open = co_await handshake();
  while (open && (is_new_ || !parts_->stopping)) open = co_await serve_one() == Next::kRequest;
  close();
}

asio::awaitable<bool> Connection::handshake() {
  const ServerTlsPtr tls = parts_->tls.get();
  if (!tls) co_return true;
  const std::string key = HandshakeGate::key_of(peer_);
  const bool counted = !peer_.loopback;
  if (counted && !parts_->gate.arrive(key)) {
    parts_->metrics.refused(Refusal::kHandshakes);
    co_return false;
  }
  const bool shaken = enter(Phase::kHandshake, parts_->options.get()->handshake_ms) &&
                      stream_.start_tls(tls->native(), Stream::Side::kServer) &&
                      co_await handshake_steps(key);
  if (counted) parts_->gate.depart(key);
  if (shaken) {
    shown_ = ShownCertificate::of(stream_.ssl(), tls);
  } else {
    parts_->metrics.refused(Refusal::kTls);
  }
  co_return shaken;
}

asio::awaitable<bool> Connection::handshake_steps(const std::string& key) {
  // The handshake takes no processor time before the client has sent something.
  Stream::Step step = Stream::Step::kWantRead;
  while (step == Stream::Step::kWantRead || step == Stream::Step::kWantWrite) {
    if (!co_await stream_.wait(step)) co_return false;
    if (!co_await parts_->gate.enter(key, wake_, closed_)) co_return false;
    step = closed_ ? Stream::Step::kFailed : stream_.handshake();
    parts_->gate.leave();
  }
  co_return step == Stream::Step::kDone;
}

asio::awaitable<bool> Connection::await_first_byte(const ServerOptions& options) {
  if (!input_.empty()) co_return true;
  Bytes().swap(input_);
  co_return enter(Phase::kIdle, options.idle_ms) && co_await more();
}

asio::awaitable<Connection::Next> Connection::serve_one() {
  const auto options = parts_->options.get();
  if (!co_await await_first_byte(*options) || !enter(Phase::kHeader, options->header_ms))
    co_return Next::kClose;
  RequestReader reader(
      {options->header_bytes_max, options->body_bytes_max, options->body_bytes_key});
  Refused read = co_await read_header(reader);
  if (read && !closed_ && reader.has_header() && !reader.is_done())
    read = co_await read_body(reader, *options);
  if (!read) {
    co_await refuse(std::move(read).error(), *options);
    co_return Next::kClose;
  }
  is_new_ = false;
  if (closed_ || !reader.is_done() || !enter(Phase::kAnswering, kNever)) co_return Next::kClose;
  const bool is_head = reader.is_head(), persistent = reader.keep_alive();
  Request request = reader.take();
  request.peer = peer_;
  if (shown_) request.peer.certificate = shown_->judge(parts_->tls.get(), read_clock().wall_ms);
  const bool accepts_gzip = prefers_gzip(request.header("Accept-Encoding"));
  const Refused unpacked = co_await unpack(request, *options);
  Response response = unpacked ? co_await answer(request, *options) : unpacked.error();
  const bool keep_alive = persistent && !parts_->stopping;
  // The handler has used the request: frees its memory.
  request = Request();
  parts_->admission->release(*slot_);
  const bool written = !closed_ && co_await respond(std::move(response), is_head, keep_alive,
                                                    accepts_gzip, *options);
  parts_->admission->release(*slot_);
  co_return written&& keep_alive ? Next::kRequest : Next::kClose;
}

asio::awaitable<Connection::Refused> Connection::read_header(RequestReader& reader) {
  while (true) {
    auto used = reader.feed(input_);
    if (!used) co_return std::unexpected(std::move(used).error());
    input_.erase(0, *used);
    if (reader.has_header() || !co_await more()) co_return Refused{};
  }
}

Connection::Refused Connection::hold_body(uint64_t bytes) {
  // In pieces, so that bytes that a client only announces are not counted.
  if (bytes <= limits::kHttpSmallBytes) return {};
  while (slot_->bytes_held() < bytes)
    if (!parts_->admission->hold(*slot_, kYieldBytes, boot_ms()))
      return std::unexpected(overloaded());
  return {};
}

asio::awaitable<Connection::Refused> Connection::read_body(RequestReader& reader,
                                                           const ServerOptions& options) {
  const TimeMs began_ms = boot_ms();
  if (!enter(Phase::kBody, options.body_ms)) co_return Refused{};
  if (reader.wants_continue() && input_.empty()) {
    constexpr ByteView kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!co_await write(kContinue, {}, options)) co_return Refused{};
    if (!enter(Phase::kBody, options.body_ms)) co_return Refused{};
  }
  uint64_t received = 0, since_yield = 0;
  while (!reader.is_done()) {
    size_t used = 0;
    if (!input_.empty()) {
      auto fed = reader.feed(input_);
      if (!fed) co_return std::unexpected(std::move(fed).error());
      used = *fed;
      input_.erase(0, used);
    }
    if (auto held = hold_body(reader.body_bytes()); !held) co_return held;
    if (used > 0 || reader.is_done()) continue;
    const size_t before = input_.size();
    if (!co_await more()) co_return Refused{};
    received += input_.size() - before;
    since_yield += input_.size() - before;
    const TimeMs kept_up = kept_up_ms(began_ms, received);
    slot_->progress(kept_up, kept_up + options.body_ms);
    if (since_yield < kYieldBytes) continue;
    since_yield = 0;
    co_await yield();
  }
  co_return Refused{};
}

asio::awaitable<Connection::Refused> Connection::unpack(Request& request,
                                                        const ServerOptions& options) {
  const std::string coding(request.header("Content-Encoding"));
  if (coding.empty() || boost::beast::iequals(coding, "identity")) co_return Refused{};
  if (!boost::beast::iequals(coding, "gzip") && !boost::beast::iequals(coding, "x-gzip")) {
    auto response =
        error_response(415, "unsupported_encoding", "the only known Content-Encoding is gzip");
    response.headers.emplace_back("Accept-Encoding", "gzip");
    co_return std::unexpected(std::move(response));
  }
  Gunzip gunzip(options.gzip_body_bytes_max);
  Result<void> unpacked;
  for (ByteView packed = request.body; unpacked && (!packed.empty() || gunzip.is_full());) {
    unpacked = gunzip.step(packed);
    if (auto held = hold_body(request.body.size() + gunzip.content().size()); !held) co_return held;
    if (gunzip.is_full()) co_await yield();
  }
  if (unpacked) unpacked = gunzip.finish();
  if (!unpacked && unpacked.error().code == ErrorCode::kLimit)
    co_return std::unexpected(body_too_large(
        "the unpacked request body", options.gzip_body_bytes_max, options.gzip_body_bytes_key));
  if (!unpacked)
    co_return std::unexpected(error_response(400, "invalid_parameter", unpacked.error().message));
  request.body = gunzip.take();
  std::erase_if(request.headers, [](const auto& field) {
    return boost::beast::iequals(field.first, "Content-Encoding");
  });
  co_return Refused{};
}

asio::awaitable<Response> Connection::answer(const Request& request, const ServerOptions& options) {
  if (auto refused = refuse_stranger(request, options.hosts, parts_->loopback_names))
    co_return *std::move(refused);
  Response response;
  bool done = false;
  asio::cancellation_signal cancel;
  const auto end = [&](std::exception_ptr thrown, Response answered) {
    response = thrown ? failed(thrown) : std::move(answered);
    done = true;
    stream_.cancel();
    wake_->cancel();
  };
  running_ = &cancel;
  asio::co_spawn(executor(), call(parts_->handler, request),
                 asio::bind_cancellation_slot(cancel.slot(), end));
  // Most handlers without waits have finished by then.
  co_await yield();
  co_await watch(done, cancel);
  running_ = nullptr;
  co_return response;
}

// Waits until the handler has ended; cancels it when the client disconnects.
asio::awaitable<void> Connection::watch(bool& done, asio::cancellation_signal& cancel) {
  const size_t ahead_max = parts_->options.get()->header_bytes_max;
  bool gone = false;
  while (!done) {
    if (!gone && !closed_ && input_.size() < ahead_max) {
      // Reads pipelined requests, so that the end of the stream behind them is seen.
      const Stream::Step step = pull();
      gone = step == Stream::Step::kEnd || step == Stream::Step::kFailed;
      if (step == Stream::Step::kWantRead || step == Stream::Step::kWantWrite)
        co_await stream_.wait(step);
    } else {
      wake_->expires_after(gone || closed_ ? std::chrono::hours(1)
                                           : std::chrono::milliseconds(kLookMs));
      co_await wake_->async_wait(asio::as_tuple(asio::use_awaitable));
      gone = gone || stream_.is_half_closed();
    }
    if (gone && !closed_ && !done) {
      close();
      cancel.emit(asio::cancellation_type::terminal | asio::cancellation_type::total);
    }
  }
}

asio::awaitable<bool> Connection::respond(Response response, bool is_head, bool keep_alive,
                                          bool accepts_gzip, const ServerOptions& options) {
  if (response.may_compress) response.headers.emplace_back("Vary", "Accept-Encoding");
  if (response.may_compress && accepts_gzip && !is_head && has_body(response.status) &&
      response.content().size() >= limits::kHttpCompressBytesMin) {
    if (auto packed = co_await pack(response.content())) {
      response.body = *std::move(packed);
      response.shared_body = nullptr;
      response.headers.emplace_back("Content-Encoding", "gzip");
    }
  }
  if (!response.shared_body && response.body.size() > limits::kHttpSmallBytes &&
      !parts_->admission->hold(*slot_, response.body.size(), boot_ms()))
    response = overloaded();
  parts_->metrics.answered(response.status);
  const ByteView content = response.content();
  const Bytes head = response_head(response, content.size(), keep_alive);
  co_return co_await write(head, is_head || !has_body(response.status) ? ByteView() : content,
                           options);
}

asio::awaitable<void> Connection::refuse(Response response, const ServerOptions& options) {
  parts_->admission->release(*slot_);
  if (closed_ || !co_await respond(std::move(response), false, false, false, options)) co_return;
  // A reset, for unread bytes, would destroy the answer.
  stream_.finish_output();
  if (!enter(Phase::kClosing, limits::kHttpLingerMs)) co_return;
  do input_.clear();
  while (co_await more());
}

asio::awaitable<bool> Connection::write(ByteView head, ByteView body,
                                        const ServerOptions& options) {
  if (!enter(Phase::kWriting, options.write_ms)) co_return false;
  const TimeMs began_ms = boot_ms();
  uint64_t written = 0, since_yield = 0;
  while (!head.empty() || !body.empty()) {
    const auto moved = stream_.write(head, body);
    if (moved.step == Stream::Step::kWantWrite || moved.step == Stream::Step::kWantRead) {
      if (!co_await stream_.wait(moved.step)) co_return false;
      continue;
    }
    if (moved.step != Stream::Step::kDone) co_return false;
    const size_t of_head = std::min(head.size(), moved.bytes);
    head.remove_prefix(of_head);
    body.remove_prefix(moved.bytes - of_head);
    written += moved.bytes;
    since_yield += moved.bytes;
    const TimeMs kept_up = kept_up_ms(began_ms, written);
    slot_->progress(kept_up, kept_up + options.write_ms);
    if (since_yield < kYieldBytes) continue;
    since_yield = 0;
    co_await yield();
  }
  co_return true;
}

}  // namespace notp::http
