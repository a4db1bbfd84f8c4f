#include "protocol/transport/connection.hpp"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>
#include <tuple>

#include "common/clock.hpp"
#include "common/crypto/x509.hpp"
#include "common/host_port.hpp"
#include "common/limits.hpp"
#include "common/tls/peer_chain.hpp"
#include "protocol/transport/tls_error.hpp"
#include "protocol/transport/tls_peer.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::transport {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kRecordBytesMax = 16 << 10;  // RFC 8446 §5.1
// A peer that keeps up must not block the thread for other sessions.
constexpr size_t kYieldBytes = 256 << 10;
// Bytes that the kernel takes before it has sent those it has. Its send buffer grows to megabytes,
// and on a slow link everything in it goes before an urgent frame: a session would decide what goes
// next minutes before it goes. So many suffice to refill the link while the writer wakes up.
constexpr int kUnsentBytesMax = 32 << 10;

}  // namespace

// Ends the pending waits of a connection, and later ones, after a time. The state outlives the
// object: a timer that has already expired still calls its handler.
class Connection::Deadline {
 public:
  Deadline(Connection& connection, TimeMs timeout_ms)
      : timer_(connection.executor(), std::chrono::milliseconds(timeout_ms)),
        connection_(std::make_shared<Connection*>(&connection)) {
    connection.deadline_passed_ = false;
    timer_.async_wait([shared = connection_](const boost::system::error_code& error) {
      if (error || *shared == nullptr) return;
      (*shared)->deadline_passed_ = true;
      boost::system::error_code ignored;
      (*shared)->socket_.cancel(ignored);
    });
  }
  ~Deadline() {
    (*connection_)->deadline_passed_ = false;
    *connection_ = nullptr;
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  asio::steady_timer timer_;
  std::shared_ptr<Connection*> connection_;
};

Connection::Connection(tcp::socket socket, std::shared_ptr<const TlsContext> context,
                       std::string peer)
    : socket_(std::move(socket)), context_(std::move(context)), peer_address_(std::move(peer)) {
  if (!peer_address_.empty()) return;
  boost::system::error_code error;
  const tcp::endpoint other = socket_.remote_endpoint(error);
  if (error) return;
  peer_address_ = HostPort{other.address().to_string(), other.port()}.text();
}

Connection::~Connection() { SSL_free(ssl_); }

Result<void> Connection::prepare() {
  boost::system::error_code error;
  socket_.native_non_blocking(true, error);
  if (!error) socket_.set_option(tcp::no_delay(true), error);
  if (error)
    return fail(ErrorCode::kUnavailable, fmt::format("{}: {}", peer_address_, error.message()));
  io_.descriptor = socket_.native_handle();
  // Without it, urgent frames are only later.
  ::setsockopt(io_.descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytesMax,
               sizeof kUnsentBytesMax);
  ssl_ = SSL_new(context_->native());
  BIO* bio = ssl_ == nullptr ? nullptr : tls::new_socket_bio(io_);
  if (bio == nullptr) return fail(ErrorCode::kInternal, "OpenSSL has no memory for a connection");
  SSL_set_bio(ssl_, bio, bio);
  // OpenSSL's own time() may be a tick behind: it would find a certificate valid in the instant of
  // its expiry, and the session would be refused a moment later.
  X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl_),
                             static_cast<time_t>(read_clock().wall_ms / 1000));
  if (context_->side() == Side::kServer) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
  return {};
}

Error Connection::failure(Step step) {
  broken_ = true;
  if (step == Step::kEnd)
    return {ErrorCode::kUnavailable,
            fmt::format("{} closed the connection; it may be restarting or refuse this address",
                        peer_address_),
            {}};
  if (ERR_peek_error() != 0 && io_.last_errno == 0) return tls_error(ssl_).in(peer_address_);
  ERR_clear_error();
  return {ErrorCode::kUnavailable,
          fmt::format("the connection to {} broke: {}", peer_address_,
                      std::generic_category().message(io_.last_errno)),
          {}};
}

asio::awaitable<Result<void>> Connection::wait_for(Step step) {
  const auto type = step == Step::kWantWrite ? tcp::socket::wait_write : tcp::socket::wait_read;
  boost::system::error_code error = asio::error::operation_aborted;
  if (!deadline_passed_) std::tie(error) = co_await socket_.async_wait(type, kAwait);
  co_return waited(error);
}

Result<void> Connection::waited(const boost::system::error_code& error) const {
  if (!error) return {};
  if (deadline_passed_)
    return fail(ErrorCode::kTimeout, fmt::format("{} did not answer in time", peer_address_));
  return fail(ErrorCode::kCancelled,
              fmt::format("the connection to {} was closed here", peer_address_));
}

asio::awaitable<Result<void>> Connection::handshake(TimeMs timeout_ms) {
  auto prepared = prepare();
  if (!prepared) co_return prepared;
  Result<void> shaken;
  {
    const Deadline deadline(*this, timeout_ms);
    shaken = co_await handshake_steps();
  }
  if (!shaken) {
    // A reset must not destroy the alert that informs the peer of the reason.
    if (shaken.error().code != ErrorCode::kTimeout) co_await close(limits::kCloseMs);
    abort();
    co_return shaken;
  }
  auto checked = check_peer();
  if (!checked) co_await refuse_peer(checked.error());
  co_return checked;
}

asio::awaitable<Result<void>> Connection::handshake_steps() {
  while (true) {
    ERR_clear_error();
    const Step step = tls::step_of(ssl_, SSL_do_handshake(ssl_), io_);
    if (step == Step::kDone) co_return Result<void>{};
    if (step != Step::kWantRead && step != Step::kWantWrite)
      co_return std::unexpected(failure(step));
    auto waited = co_await wait_for(step);
    if (!waited) {
      broken_ = true;
      co_return waited;
    }
  }
}

Result<void> Connection::check_peer() {
  const unsigned char* protocol = nullptr;
  unsigned protocol_bytes = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &protocol_bytes);
  if (protocol_bytes == 0)
    return fail(ErrorCode::kTls,
                fmt::format("{} does not speak this protocol of NOTP (no ALPN {} agreed); look at "
                            "the address",
                            peer_address_, context_->protocol()));
  if (!context_->verifies_peer()) return {};
  const Side peer_side = context_->side() == Side::kServer ? Side::kClient : Side::kServer;
  auto identity = identity_of(SSL_get0_peer_certificate(ssl_), SSL_get_peer_cert_chain(ssl_),
                              peer_side, *context_);
  if (!identity) return std::unexpected(std::move(identity).error().in(peer_address_));
  NOTP_TRY(check_identity(*identity));
  peer_ = *std::move(identity);
  peer_key_ = x509::key_hash(X509_get0_pubkey(SSL_get0_peer_certificate(ssl_)));
  peer_chain_ = tls::shown_chain(ssl_);
  peer_validity_ = tls::validity_of(SSL_get0_verified_chain(ssl_));
  tls::shrink_shown(ssl_);
  return {};
}

Result<void> Connection::check_identity(const session::Identity& identity) const {
  if (context_->side() == Side::kClient && identity.role != session::Role::kRegistry)
    return fail(ErrorCode::kIdentity, fmt::format("{} is {}, not a registry; look at the address",
                                                  peer_address_, identity.text()));
  if (context_->side() == Side::kServer && identity.role == session::Role::kSource)
    return fail(ErrorCode::kIdentity,
                fmt::format("{} is a source of token lanes, which has no sessions: it sends its "
                            "events to the address of lanes.listen",
                            identity.text()));
  return {};
}

Result<void> Connection::verify_peer_again(const TlsContext& context) {
  auto validity = tls::verify_shown_chain(
      peer_chain_, context.native(),
      context.side() == Side::kServer ? tls::PeerRole::kClient : tls::PeerRole::kServer);
  if (!validity) return std::unexpected(std::move(validity).error().in(peer_address_));
  const Side peer_side = context.side() == Side::kServer ? Side::kClient : Side::kServer;
  const auto identity = identity_of_shown(peer_chain_, peer_side, context);
  if (!identity) return std::unexpected(Error(identity.error()).in(peer_address_));
  if (*identity != *peer_)
    return fail(ErrorCode::kIdentity,
                fmt::format("{} has another role now than when it connected; connect again",
                            identity->text()));
  peer_validity_ = *validity;
  return {};
}

asio::awaitable<void> Connection::refuse_peer(const Error& error) {
  const Bytes frame = wire::encode_frame(wire::ErrorMessage{error.code, error.message, 0});
  static_cast<void>(co_await write_within(frame, limits::kCloseMs));
  co_await close(limits::kCloseMs);
}

Result<std::optional<size_t>> Connection::try_read(char* data, size_t size) {
  if (broken_ || !socket_.is_open())
    return fail(ErrorCode::kCancelled,
                fmt::format("the connection to {} is closed", peer_address_));
  ERR_clear_error();
  size_t done = 0;
  const int outcome = SSL_read_ex(ssl_, data, size, &done);
  if (outcome == 1) return done;
  switch (const Step step = tls::step_of(ssl_, outcome, io_)) {
    case Step::kWantRead:
    case Step::kWantWrite:
      return std::nullopt;
    case Step::kEnd:
      return size_t{0};
    default:
      return std::unexpected(failure(step));
  }
}

bool Connection::read_wants_write() const { return ssl_ != nullptr && SSL_want_write(ssl_) != 0; }

asio::awaitable<Result<size_t>> Connection::read_some(char* data, size_t size) {
  while (true) {
    auto read = try_read(data, size);
    if (!read) co_return std::unexpected(std::move(read).error());
    if (*read) co_return **read;
    auto waited = co_await wait_for(read_wants_write() ? Step::kWantWrite : Step::kWantRead);
    if (!waited) co_return std::unexpected(std::move(waited).error());
  }
}

asio::awaitable<Result<wire::Message>> Connection::read_message(size_t bytes_max,
                                                                TimeMs timeout_ms) {
  const Deadline deadline(*this, timeout_ms);
  wire::FrameParser parser;
  std::array<char, 4096> buffer;
  size_t received = 0;
  while (true) {
    auto read = co_await read_some(buffer.data(), buffer.size());
    if (!read) co_return std::unexpected(std::move(read).error());
    if (*read == 0)
      co_return fail(ErrorCode::kUnavailable,
                     fmt::format("{} closed the connection before its message", peer_address_));
    received += *read;
    parser.feed(ByteView(buffer.data(), *read));
    auto message = parser.next();
    if (!message) co_return std::unexpected(std::move(message).error().in(peer_address_));
    if (*message && std::holds_alternative<wire::Chunk>(**message))
      co_return fail(ErrorCode::kState, fmt::format("{} sent a Chunk", peer_address_));
    if (*message && received <= bytes_max) co_return **std::move(message);
    if (received > bytes_max)
      co_return fail(ErrorCode::kLimit,
                     fmt::format("{} sent more than {} bytes at once", peer_address_, bytes_max));
  }
}

asio::awaitable<Result<void>> Connection::write(ByteView bytes) {
  size_t since_yield = 0;
  while (!bytes.empty()) {
    auto written = try_write(bytes);
    if (!written) co_return std::unexpected(std::move(written).error());
    if (!*written) {
      auto waited = co_await wait_for(Step::kWantWrite);
      if (!waited) co_return waited;
      continue;
    }
    bytes.remove_prefix(**written);
    since_yield += **written;
    if (since_yield < kYieldBytes) continue;
    since_yield = 0;
    co_await asio::post(socket_.get_executor(), asio::use_awaitable);
  }
  co_return Result<void>{};
}

Result<std::optional<size_t>> Connection::try_write(ByteView bytes) {
  if (broken_ || output_finished_ || !socket_.is_open())
    return fail(ErrorCode::kCancelled,
                fmt::format("the connection to {} is closed", peer_address_));
  ERR_clear_error();
  size_t done = 0;
  const int outcome = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &done);
  if (outcome == 1) return done;
  // After the handshake a TLS 1.3 write never waits for the peer's bytes.
  const Step step = tls::step_of(ssl_, outcome, io_);
  if (step != Step::kWantRead && step != Step::kWantWrite) return std::unexpected(failure(step));
  return std::nullopt;
}

asio::awaitable<Result<void>> Connection::write(ByteView head, ByteView body) {
  if (head.size() >= kRecordBytesMax || body.empty()) {
    auto written = co_await write(head);
    if (!written) co_return written;
  } else {
    const size_t front = std::min(body.size(), kRecordBytesMax - head.size());
    Bytes record;
    record.reserve(head.size() + front);
    record.append(head).append(body.substr(0, front));
    body.remove_prefix(front);
    auto written = co_await write(ByteView(record));
    if (!written) co_return written;
  }
  auto written = co_await write(body);
  co_return written;
}

uint64_t Connection::bytes_taken() const {
  int queued = 0;
  if (!socket_.is_open() || ::ioctl(io_.descriptor, SIOCOUTQ, &queued) != 0) return io_.bytes_sent;
  return io_.bytes_sent - std::min<uint64_t>(io_.bytes_sent, static_cast<uint64_t>(queued));
}

asio::awaitable<Result<void>> Connection::write_within(ByteView bytes, TimeMs timeout_ms) {
  const Deadline deadline(*this, timeout_ms);
  auto written = co_await write(bytes);
  co_return written;
}

void Connection::finish_output() {
  if (output_finished_ || !socket_.is_open()) return;
  output_finished_ = true;
  ERR_clear_error();
  if (ssl_ != nullptr && !broken_ && SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ERR_clear_error();
  boost::system::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> Connection::drain() {
  std::array<char, 1024> scratch;
  while (socket_.is_open()) {
    // One read for each wait: a peer that sends continuously must not block the thread.
    const ssize_t received = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), 0);
    if (received == 0 || (received < 0 && !tls::would_block())) co_return;
    auto waited = co_await wait_for(Step::kWantRead);
    if (!waited) co_return;
  }
}

asio::awaitable<void> Connection::close(TimeMs timeout_ms) {
  finish_output();
  if (socket_.is_open() && io_.last_errno == 0 && !io_.at_end) {
    const Deadline deadline(*this, timeout_ms);
    co_await drain();
  }
  abort();
}

void Connection::abort() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace notp::transport
