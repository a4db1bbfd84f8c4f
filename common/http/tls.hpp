// The TLS side of a listener: the context of new connections, and the verification of clients'
// certificates. A client's bad certificate does not fail the handshake: its handler answers with a
// code that an operator can read.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <mutex>
#include <optional>

#include "common/crypto/digest.hpp"
#include "common/http/endpoint.hpp"
#include "common/http/message.hpp"
#include "common/result.hpp"

namespace notp::http {

// Immutable, shared by connections. Thread-safe.
class ServerTls {
 public:
  // Reads the files. kConfig names the file and the fault.
  static Result<std::shared_ptr<const ServerTls>> load(const TlsEndpoint& endpoint);
  ~ServerTls();
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  SSL_CTX* native() const { return context_; }
  // Covers the content of all files, and how clients are asked.
  const Hash& digest() const { return digest_; }

 private:
  ServerTls(SSL_CTX* context, const Hash& digest) : context_(context), digest_(digest) {}

  SSL_CTX* const context_;
  const Hash digest_;
};
using ServerTlsPtr = std::shared_ptr<const ServerTls>;

// The certificates that one client showed. Belongs to its connection.
class ShownCertificate {
 public:
  // Called after a handshake: nullopt when the client showed none. Empties TLS's own copy.
  static std::optional<ShownCertificate> of(SSL* ssl, const ServerTlsPtr& tls);

  // The same of a chain that came otherwise: certificates, DER, concatenated, the leaf first.
  // nullopt when they cannot be read.
  static std::optional<ShownCertificate> of(Bytes chain, const ServerTlsPtr& tls);

  // Verifies by the authorities of `tls` and the current clock: repeated only when the authorities
  // have changed, or the chain's validity has ended.
  const PeerCertificate& judge(const ServerTlsPtr& tls, TimeMs wall_ms);

 private:
  ShownCertificate(X509* leaf, ServerTlsPtr tls);
  void verify(TimeMs wall_ms);

  PeerCertificate certificate_;
  Bytes chain_;           // as shown
  bool is_leaf_ = false;  // well-formed, and not a CA's
  ServerTlsPtr tls_;      // with which it was verified
  TimeMs chain_not_before_ms_ = 0, chain_not_after_ms_ = 0;
};

}  // namespace notp::http
