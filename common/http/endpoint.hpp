// The address of a listening server.
#pragma once

#include <filesystem>
#include <string>
#include <variant>

namespace notp::http {

// Plain HTTP.
struct TcpEndpoint {
  std::string address = "127.0.0.1";  // numeric
  uint16_t port = 0;                  // 0: the system chooses; see Server::port()
  // Also allow addresses other than loopback: every program that reaches the port may then send
  // requests.
  bool beyond_loopback = false;
};

// Plain HTTP for programs of this machine; the file's mode and group control access. A socket file
// whose server is dead is replaced; it is removed when the server ends.
struct UnixEndpoint {
  std::filesystem::path path;  // at most 90 bytes
  unsigned mode = 0600;
  std::string group;  // a name or a number; empty: this process's
};

enum class ClientCertificate : uint8_t {
  kNone,      // not requested
  kOptional,  // the handler sees whether there is one
  kRequired,  // without one the handshake fails; the handler refuses a bad one
};

// HTTP over TLS 1.2 or newer. Files are PEM; certificate and key may be one file.
struct TlsEndpoint {
  std::string address;  // numeric, any
  uint16_t port = 0;
  std::filesystem::path certificate;         // the leaf first, then its intermediates
  std::filesystem::path private_key;         // unencrypted
  std::filesystem::path client_authorities;  // CAs of clients; may be empty with kNone
  ClientCertificate client_certificate = ClientCertificate::kOptional;
  bool allow_p384 = false;  // key exchanges in P-384 as well as in X25519 and P-256
  bool tls13_only = false;
};

using Endpoint = std::variant<TcpEndpoint, UnixEndpoint, TlsEndpoint>;

}  // namespace notp::http
