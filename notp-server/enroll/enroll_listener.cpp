#include "notp-server/enroll/enroll_listener.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "common/log.hpp"
#include "common/spawn.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::enroll {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr uint32_t kComeBackMs = 1'000;

// The unit by which failures are counted: an IPv6 host can use a whole /64.
std::string network_of(const tcp::socket& socket) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return "unknown";
  if (peer.address().is_v4()) return peer.address().to_string();
  auto bytes = peer.address().to_v6().to_bytes();
  std::ranges::fill(bytes.begin() + 8, bytes.end(), uint8_t{0});
  return asio::ip::make_address_v6(bytes).to_string() + "/64";
}

}  // namespace

EnrollListener::EnrollListener(EnrollListenerOptions options, Enrollment& enrollment,
                               transport::OffloadPool& workers,
                               std::shared_ptr<const transport::TlsContext> tls,
                               tcp::acceptor acceptor)
    : options_(std::move(options)),
      enrollment_(enrollment),
      workers_(workers),
      tls_(std::move(tls)),
      acceptor_(std::move(acceptor)),
      limiter_(options_.failures_max) {}

Result<std::unique_ptr<EnrollListener>> EnrollListener::open(asio::any_io_executor executor,
                                                             EnrollListenerOptions options,
                                                             Enrollment& enrollment,
                                                             transport::OffloadPool& workers) {
  NOTP_ASSIGN(auto tls, transport::TlsContext::enroll_listener(options.tls));
  NOTP_ASSIGN(tcp::acceptor acceptor, transport::listen(executor, options.listen));
  std::unique_ptr<EnrollListener> out(new EnrollListener(std::move(options), enrollment, workers,
                                                         std::move(tls), std::move(acceptor)));
  spawn(executor, out->accept_loop());
  return out;
}

std::string EnrollListener::address() const {
  boost::system::error_code error;
  const tcp::endpoint local = acceptor_.local_endpoint(error);
  const std::string address = local.address().to_string();
  return local.address().is_v6() ? fmt::format("[{}]:{}", address, local.port())
                                 : fmt::format("{}:{}", address, local.port());
}

Result<void> EnrollListener::reload() {
  NOTP_ASSIGN(tls_, transport::TlsContext::enroll_listener(options_.tls));
  return {};
}

void EnrollListener::stop() {
  stopping_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (const Conversation& open : open_) open.connection->abort();
  for (transport::Connection* connection : turned_away_) connection->abort();
}

asio::awaitable<void> EnrollListener::accept_loop() {
  while (!stopping_) {
    auto socket = co_await transport::accept(acceptor_, acceptor_.get_executor());
    if (!socket) {
      if (stopping_) co_return;
      log::write(log::Level::kWarn, "accept_failed", socket.error());
      continue;
    }
    const std::string network = network_of(*socket);
    // Refused before TLS: it costs nothing but a descriptor.
    if (limiter_.is_blocked(network, read_clock().boot_ms)) continue;
    if (under_way() < limits::kJoinsMax || end_silent())
      spawn(acceptor_.get_executor(), serve(std::move(*socket), network));
    else if (turned_away_.size() < limits::kJoinsMax)
      spawn(acceptor_.get_executor(), turn_away(std::move(*socket)));
  }
}

size_t EnrollListener::under_way() const {
  return static_cast<size_t>(std::ranges::count(open_, false, &Conversation::ended));
}

bool EnrollListener::end_silent() {
  const auto may_go = [](const Conversation& open) { return open.silent && !open.ended; };
  std::unordered_map<std::string, size_t> held;
  for (const Conversation& open : open_)
    if (may_go(open)) ++held[open.network];
  const auto most =
      std::ranges::max_element(held, {}, [](const auto& entry) { return entry.second; });
  if (most == held.end()) return false;
  const auto oldest = std::ranges::find_if(
      open_, [&](const Conversation& open) { return may_go(open) && open.network == most->first; });
  oldest->ended = true;
  oldest->connection->abort();
  return true;
}

asio::awaitable<void> EnrollListener::turn_away(tcp::socket socket) {
  transport::Connection connection(std::move(socket), tls_);
  turned_away_.insert(&connection);
  if (auto shaken = co_await connection.handshake(limits::kHandshakeMs); shaken) {
    const Bytes frame = wire::encode_frame(wire::ErrorMessage{
        ErrorCode::kOverloaded,
        fmt::format("{} nodes are joining at this moment; try again", limits::kJoinsMax),
        kComeBackMs});
    static_cast<void>(co_await connection.write_within(frame, limits::kCloseMs));
    co_await connection.close(limits::kCloseMs);
  }
  turned_away_.erase(&connection);
}

asio::awaitable<void> EnrollListener::serve(tcp::socket socket, std::string network) {
  transport::Connection connection(std::move(socket), tls_);
  const Place place = open_.insert(open_.end(), Conversation{&connection, network});
  auto ended = co_await converse(connection, place);
  const bool made_room = place->ended;
  open_.erase(place);
  if (ended || stopping_) co_return;
  if (made_room)
    ended = fail(ErrorCode::kOverloaded, "it was silent, and another connection took its place");
  log::write(log::Level::kWarn, "join_refused", ended.error(),
             {{"peer", connection.peer_address()}});
  // A health check, or a failing network, is not an attempt to guess.
  if (ended.error().code != ErrorCode::kJoinRefused) co_return;
  if (limiter_.failed(network, read_clock().boot_ms))
    log::warn("joins_blocked", {{"peer", network}, {"for_ms", limits::kJoinFailureWindowMs}});
}

asio::awaitable<Result<void>> EnrollListener::converse(transport::Connection& connection,
                                                       Place place) {
  auto shaken = co_await connection.handshake(limits::kHandshakeMs);
  if (!shaken) co_return shaken;
  auto message =
      co_await connection.read_message(limits::kJoinFrameBytesMax, limits::kFirstFrameMs);
  place->silent = false;
  Result<void> ended;
  if (!message) {
    ended = std::unexpected(std::move(message).error());
  } else if (auto* join = std::get_if<wire::Join>(&*message)) {
    co_return co_await answer(connection, std::move(*join));
  } else {
    ended = fail(ErrorCode::kState, "only a Join is understood at this port");
  }
  const Error& error = ended.error();
  const Bytes frame = wire::encode_frame(wire::ErrorMessage{error.code, error.message, 0});
  static_cast<void>(co_await connection.write_within(frame, limits::kCloseMs));
  co_await connection.close(limits::kCloseMs);
  co_return ended;
}

asio::awaitable<Result<void>> EnrollListener::answer(transport::Connection& connection,
                                                     wire::Join join) {
  std::string node;
  Error why;
  auto joined = co_await transport::offload(workers_, [this, &join, &node, &why] {
    return enrollment_.join(join, read_clock().wall_ms, &node, &why);
  });
  Result<Bytes> answered =
      joined ? wire::try_encode_frame(*joined) : std::unexpected(joined.error());
  if (joined && !answered) joined = std::unexpected(answered.error());
  const Bytes frame = answered ? *std::move(answered)
                               : wire::encode_frame(wire::ErrorMessage{
                                     answered.error().code, answered.error().message, 0});
  auto written = co_await connection.write_within(frame, limits::kCloseMs);
  co_await connection.close(limits::kCloseMs);
  if (!joined) co_return std::unexpected(why.message.empty() ? joined.error() : why);
  log::info(
      "joined",
      {{"node", node}, {"peer", connection.peer_address()}, {"answered", written.has_value()}});
  co_return Result<void>{};
}

}  // namespace notp::enroll
