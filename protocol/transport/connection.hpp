// One TCP connection with TLS 1.3 on the raw socket. OpenSSL reads and writes the socket itself and
// Asio only signals when it is ready: a quarter of the memory of asio::ssl::stream, and no copies.
#pragma once

#include <openssl/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/tls/peer_chain.hpp"
#include "common/tls/socket_bio.hpp"
#include "protocol/transport/tls_context.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::transport {

// Belongs to the thread of its socket's executor. One coroutine may read while another one writes;
// no two may do the same. The coroutines do not throw and do not support Asio's cancellation slots:
// abort() ends pending operations with kCancelled. Must not outlive its io_context, and must not be
// destroyed while one of its coroutines is pending.
class Connection {
 public:
  // `peer` names the peer in messages; empty: the address of the socket's other end.
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<const TlsContext> context,
             std::string peer = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs the TLS handshake and checks the peer's identity: exactly one SPIFFE id, of the configured
  // trust domain, and a registry's when this side is the client. A peer whose identity is refused
  // gets an Error frame. On an error the connection is closed. kTimeout, kUnavailable,
  // kNoCertificate, kCertificateExpired, kCertificateUntrusted, kIdentity, kTls.
  //
  // A client learns only at its first read that the server refused it (RFC 8446 §4.4.2.4): reads
  // return the same codes.
  boost::asio::awaitable<Result<void>> handshake(TimeMs timeout_ms);

  // Reads at least one byte; 0 at the end of the stream. kUnavailable, and the codes of a late
  // refusal.
  boost::asio::awaitable<Result<size_t>> read_some(char* data, size_t size);
  // The same without waiting: nullopt when no data is there. A caller that reads until nullopt
  // before it waits needs no buffer while it waits.
  Result<std::optional<size_t>> try_read(char* data, size_t size);
  // Calls `handler` with an error_code, as Asio's operations do, when try_read() may get further.
  template <typename Handler>
  void when_readable(Handler&& handler) {
    // A TLS 1.3 read that wants to write answers a key update; the next write sends it, too.
    socket_.async_wait(read_wants_write() ? boost::asio::ip::tcp::socket::wait_write
                                          : boost::asio::ip::tcp::socket::wait_read,
                       std::forward<Handler>(handler));
  }

  // Writes a part of the bytes, in order; nullopt when the peer's system takes none now. The next
  // call must begin with the same bytes at the same place. Errors as those of write().
  Result<std::optional<size_t>> try_write(ByteView bytes);
  // As when_readable(), for try_write().
  template <typename Handler>
  void when_writable(Handler&& handler) {
    socket_.async_wait(boost::asio::ip::tcp::socket::wait_write, std::forward<Handler>(handler));
  }
  // The outcome of such a wait: kTimeout, kCancelled.
  Result<void> waited(const boost::system::error_code& error) const;

  // Writes all bytes; waits while the peer does not read. The bytes must live until it returns.
  boost::asio::awaitable<Result<void>> write(ByteView bytes);
  // Writes `head` and the front of `body` in one TLS record, which saves 22 bytes on the wire; the
  // rest of `body` is written without a copy.
  boost::asio::awaitable<Result<void>> write(ByteView head, ByteView body);

  // The same with a timeout: kTimeout when the peer did not take all bytes in time.
  boost::asio::awaitable<Result<void>> write_within(ByteView bytes, TimeMs timeout_ms);

  // Signals the end of the output (close_notify and FIN) without waiting for the peer.
  void finish_output();
  // Calls finish_output(), then waits at most `timeout_ms` for the peer to close too: closing with
  // unread bytes would make the kernel drop bytes that the peer has not read yet. No other
  // operation may be pending.
  boost::asio::awaitable<void> close(TimeMs timeout_ms);
  // Closes at once; pending operations end with kCancelled.
  void abort();

  // Reads one message, of at most `bytes_max` on the wire, for exchanges of one request and one
  // answer. Bytes behind it are dropped. kTimeout, kLimit, kUnavailable when the stream ended
  // first, kState for a Chunk, and the codes of the parser and of a late refusal.
  boost::asio::awaitable<Result<wire::Message>> read_message(size_t bytes_max, TimeMs timeout_ms);

  // Verifies the certificates that the peer showed in the handshake again, by the authorities and
  // the identity rules of `context` and the current clock: after a reload, and when one of them has
  // expired. kCertificateExpired, kCertificateUntrusted, and kIdentity when the peer has no role
  // any more or another one; the connection stays unchanged.
  Result<void> verify_peer_again(const TlsContext& context);
  // Validity of the peer's chain; unlimited without a chain.
  const tls::Validity& peer_validity() const { return peer_validity_; }
  TimeMs peer_not_after_ms() const { return peer_validity_.until_ms; }
  // The context of the handshake.
  const TlsContext& context() const { return *context_; }

  // Valid after a handshake without error, in contexts that verify the peer.
  const session::Identity& peer_identity() const { return *peer_; }
  // x509::key_hash() of its certificate, under the same condition.
  const Hash& peer_key() const { return peer_key_; }
  // "address:port" of the peer, or what the constructor was given, for logs.
  const std::string& peer_address() const { return peer_address_; }
  // Bytes on the TCP connection, including TLS.
  uint64_t bytes_received() const { return io_.bytes_received; }
  uint64_t bytes_sent() const { return io_.bytes_sent; }
  // Sent bytes that the peer's system has acknowledged: grows while the peer reads.
  uint64_t bytes_taken() const;
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

 private:
  class Deadline;
  using Step = tls::Step;

  Result<void> prepare();
  Error failure(Step step);
  bool read_wants_write() const;
  boost::asio::awaitable<Result<void>> wait_for(Step step);
  boost::asio::awaitable<Result<void>> handshake_steps();
  Result<void> check_peer();
  Result<void> check_identity(const session::Identity& identity) const;
  boost::asio::awaitable<void> refuse_peer(const Error& error);
  boost::asio::awaitable<void> drain();

  boost::asio::ip::tcp::socket socket_;
  const std::shared_ptr<const TlsContext> context_;
  SSL* ssl_ = nullptr;
  bool broken_ = false;  // TLS state is lost: no more calls into it
  bool output_finished_ = false;
  bool deadline_passed_ = false;  // of the current Deadline
  tls::SocketIo io_;
  std::optional<session::Identity> peer_;
  Hash peer_key_;
  Bytes peer_chain_;  // as shown: TLS's own copy is emptied
  tls::Validity peer_validity_;
  std::string peer_address_;
};

}  // namespace notp::transport
