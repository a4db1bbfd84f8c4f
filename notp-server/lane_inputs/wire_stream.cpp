#include "notp-server/lane_inputs/wire_stream.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/http/deadline.hpp"
#include "common/http/dial.hpp"
#include "common/http/exchange.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

using Step = http::Stream::Step;

// RFC 6761 §6.3, as http::Client does.
HostPort dialled(const HostPort& at) {
  return at.host == "localhost" ? HostPort{"127.0.0.1", at.port} : at;
}

std::unexpected<Error> ended() {
  return fail(ErrorCode::kUnavailable, "the connection broke; is the server still running?");
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<WireStream>>> WireStream::connect(WireTarget target,
                                                                         TimeMs until_ms) {
  const HostPort at = target.proxy ? target.at : dialled(target.at);
  auto socket = co_await http::dial(at, target.proxy, until_ms);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  auto out = std::make_unique<WireStream>(*std::move(socket));
  if (!target.tls) co_return out;
  bool is_late = false;
  const auto close = [&] {
    is_late = true;
    out->close();
  };
  const http::Deadline deadline(out->stream_.socket().get_executor(),
                                std::max<TimeMs>(0, until_ms - read_clock().boot_ms), close);
  const http::Call no_call;
  http::Exchange exchange(out->stream_, no_call);
  auto safe = co_await exchange.shake_hands(*target.tls, target.at.host);
  if (is_late)
    co_return fail(ErrorCode::kTimeout,
                   fmt::format("{} did not finish the TLS handshake in time", at.text()));
  if (!safe) co_return std::unexpected(std::move(safe).error());
  co_return out;
}

asio::awaitable<Result<size_t>> WireStream::read(char* data, size_t size, TimeMs wait_ms) {
  bool is_late = false;
  const auto cancel = [&] {
    is_late = true;
    stream_.cancel();
  };
  std::optional<http::Deadline> deadline;
  if (wait_ms != kNever) deadline.emplace(stream_.socket().get_executor(), wait_ms, cancel);
  while (true) {
    const http::Stream::Moved moved = stream_.read(data, size);
    if (moved.step == Step::kDone && moved.bytes > 0) co_return moved.bytes;
    if (moved.step == Step::kEnd || moved.step == Step::kFailed) co_return ended();
    const bool ready = co_await stream_.wait(moved.step);
    if (is_late)
      co_return fail(ErrorCode::kTimeout, fmt::format("nothing came within {} ms", wait_ms));
    if (!ready) co_return ended();
  }
}

asio::awaitable<Result<void>> WireStream::write(ByteView bytes, TimeMs wait_ms) {
  bool is_late = false;
  const auto close = [&] {
    is_late = true;
    stream_.close();
  };
  const http::Deadline deadline(stream_.socket().get_executor(), wait_ms, close);
  while (!bytes.empty()) {
    const http::Stream::Moved moved = stream_.write(bytes, {});
    bytes.remove_prefix(moved.bytes);
    if (moved.step == Step::kDone) continue;
    if (moved.step == Step::kEnd || moved.step == Step::kFailed) co_return ended();
    const bool ready = co_await stream_.wait(moved.step);
    if (is_late)
      co_return fail(ErrorCode::kTimeout, fmt::format("nothing was taken within {} ms", wait_ms));
    if (!ready) co_return ended();
  }
  co_return Result<void>();
}

}  // namespace notp::lane_inputs
