// One TCP connection with TLS 1.3 on the raw socket. OpenSSL reads and writes the socket itself and
// Asio only says when it is ready: a quarter of the memory of asio::ssl::stream, and no copies.
#pragma once

#include <openssl/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/tls/peer_chain.hpp"
#include "common/tls/socket_bio.hpp"
#include "protocol/transport/tls_context.hpp"
#include "protocol/wire/messages.hpp"

namespace notp {

// Belongs to the thread of its socket's executor. One coroutine may read while another one writes;
// no two may do the same. No coroutine throws; none supports Asio's cancellation slots: abort()
// ends whatever is pending with kCancelled. Must not outlive its io_context, nor end while a
// coroutine of it is pending.
class Connection {
 public:
  // `peer` is who the messages are about; empty: the address at the other end of the socket.
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<const TlsContext> context,
             std::string peer = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The TLS handshake and the check of the peer's identity: exactly one SPIFFE id, of the
  // configured trust domain, a registry's where this side is the client. A peer whose identity is
  // refused gets an Error frame. On an error the connection is closed. kTimeout, kUnavailable,
  // kNoCertificate, kCertificateExpired, kCertificateUntrusted, kIdentity, kTls.
  //
  // A client learns only at its first read that the server refused it (RFC 8446 §4.4.2.4): reads
  // return the same codes.
  boost::asio::awaitable<Result<void>> handshake(TimeMs timeout_ms);

  // At least one byte, 0 at the end of the stream. kUnavailable, and the codes of a late refusal.
  boost::asio::awaitable<Result<size_t>> read_some(char* data, size_t size);
  // The same without waiting: nullopt when nothing is there. A caller that reads until nullopt
  // before it waits needs no buffer while it waits.
  Result<std::optional<size_t>> try_read(char* data, size_t size);
  boost::asio::awaitable<Result<void>> wait_readable();

  // Writes everything; waits while the peer does not read. The bytes must live until it returns.
  boost::asio::awaitable<Result<void>> write(ByteView bytes);
  // `head` and the front of `body` share one TLS record, 22 bytes less on the wire; the rest of
  // `body` is written where it lies.
  boost::asio::awaitable<Result<void>> write(ByteView head, ByteView body);

  // The same with an end: kTimeout when the peer did not take everything in time.
  boost::asio::awaitable<Result<void>> write_within(ByteView bytes, TimeMs timeout_ms);

  // Says that nothing more comes (close_notify and FIN) without waiting for the peer.
  void finish_output();
  // finish_output(), then waits until the peer has closed too, at most `timeout_ms`: closing with
  // unread bytes would make the kernel drop what the peer has not read yet. Nothing else may be
  // pending.
  boost::asio::awaitable<void> close(TimeMs timeout_ms);
  // Closes at once; pending operations end with kCancelled.
  void abort();

  // One message, of at most `bytes_max` on the wire: for conversations that are a question and an
  // answer. What comes behind it is dropped. kTimeout, kLimit, kUnavailable when the stream ended
  // first, kState for a Chunk, and the codes of the parser and of a late refusal.
  boost::asio::awaitable<Result<wire::Message>> read_message(size_t bytes_max, TimeMs timeout_ms);

  // Verifies the certificates that the peer showed in the handshake once more, by the authorities
  // and the identity rules of `context` and the clock of now: after a reload, and when one of them
  // has ended. kCertificateExpired, kCertificateUntrusted, and kIdentity when the peer has no role
  // any more or another one; the connection itself stays as it is.
  Result<void> verify_peer_again(const TlsContext& context);
  // Of the peer's chain; always, when it shows none.
  const tls::Validity& peer_validity() const { return peer_validity_; }
  TimeMs peer_not_after_ms() const { return peer_validity_.until_ms; }
  // What the handshake ran under.
  const TlsContext& context() const { return *context_; }

  // Valid after a handshake without error, in contexts that verify the peer.
  const Identity& peer_identity() const { return *peer_; }
  // x509::key_hash() of its certificate, under the same condition.
  const Hash& peer_key() const { return peer_key_; }
  // "address:port" of the peer, or what the constructor was given, for logs.
  const std::string& peer_address() const { return peer_address_; }
  // Bytes on the TCP connection, TLS included.
  uint64_t bytes_received() const { return io_.bytes_received; }
  uint64_t bytes_sent() const { return io_.bytes_sent; }
  // Of those, what the peer's system has acknowledged: while the peer reads, that grows.
  uint64_t bytes_taken() const;
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

 private:
  class Deadline;
  using Step = tls::Step;

  Result<void> prepare();
  Error failure(Step step);
  boost::asio::awaitable<Result<void>> wait_for(Step step);
  boost::asio::awaitable<Result<void>> handshake_steps();
  Result<void> check_peer();
  Result<void> check_identity(const Identity& identity) const;
  boost::asio::awaitable<void> refuse_peer(const Error& error);
  boost::asio::awaitable<void> drain();

  boost::asio::ip::tcp::socket socket_;
  const std::shared_ptr<const TlsContext> context_;
  SSL* ssl_ = nullptr;
  bool broken_ = false;  // TLS state is lost: no more calls into it
  bool output_finished_ = false;
  bool deadline_passed_ = false;  // of the Deadline that is in force
  tls::SocketIo io_;
  std::optional<Identity> peer_;
  Hash peer_key_;
  Bytes peer_chain_;  // as it was shown: TLS's own copy is emptied
  tls::Validity peer_validity_;
  std::string peer_address_;
};

}  // namespace notp
