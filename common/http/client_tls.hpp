// The client's side of TLS: the trusted authorities, and the certificate shown to servers.
#pragma once

#include <openssl/types.h>

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/http/stream.hpp"
#include "common/result.hpp"

namespace notp::http {

// Reads a pin as curl writes it: "sha256//" and the SHA-256 of a SubjectPublicKeyInfo in base64
// (RFC 7469 §2.4). kConfig.
Result<Hash> parse_pin(std::string_view text);

// PEM files. Certificate and key may be one file.
struct ClientTlsFiles {
  std::filesystem::path authorities;  // of servers; empty: those of the system
  std::filesystem::path certificate;  // the leaf first; empty: not shown
  std::filesystem::path private_key;  // unencrypted; empty with an empty certificate
  // SHA-256 of the SubjectPublicKeyInfo that a server's own certificate may have, in addition to
  // its chain; empty: any.
  std::vector<Hash> pins = {};
};

// TLS 1.2 or newer, with names checked (RFC 9110 §4.3.4). Immutable. Thread-safe.
class ClientTls {
 public:
  // Reads the files. kConfig names the file and the fault.
  static Result<std::shared_ptr<const ClientTls>> load(const ClientTlsFiles& files);
  ~ClientTls();
  ClientTls(const ClientTls&) = delete;
  ClientTls& operator=(const ClientTls&) = delete;

  // Sets up TLS on the stream, whose server must have a certificate for `host`, a name or an
  // address; the caller runs the handshake next. kInternal.
  Result<void> start(Stream& stream, const std::string& host) const;

  // Checks the pins after the handshake, before anything is sent. kCertificateUntrusted.
  Result<void> check_pins(const Stream& stream, const std::string& host) const;

  // Returns why a step of a stream after start() has failed; takes the thread's OpenSSL errors.
  // kCertificateUntrusted, kCertificateExpired: the server's; kNoCertificate: the server asks for
  // one; kTls; kUnavailable: the connection broke.
  static Error reason(const Stream& stream, const std::string& host);

 private:
  ClientTls(SSL_CTX* context, std::vector<Hash> pins) : context_(context), pins_(std::move(pins)) {}

  SSL_CTX* const context_;
  const std::vector<Hash> pins_;
};
using ClientTlsPtr = std::shared_ptr<const ClientTls>;

}  // namespace notp::http
