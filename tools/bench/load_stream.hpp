// One kept connection to a PDP, over any way, and the HTTP answers on it. Minimal, so that it costs
// little beside the PDP that is measured.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <optional>

#include "common/bytes.hpp"
#include "common/c_ptr.hpp"
#include "common/clock.hpp"

namespace notp::bench {

// The client side of mutual TLS. Copies share it. Connections must be made on one thread at a time.
class LoadTls {
 public:
  // Takes PEM files. Verifies that a server chains to `ca`, not its name: the address is loopback.
  static Result<LoadTls> make(const std::filesystem::path& certificate,
                              const std::filesystem::path& key, const std::filesystem::path& ca);
  SSL_CTX* get() const { return context_.get(); }

 private:
  explicit LoadTls(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {}
  std::shared_ptr<SSL_CTX> context_;
};

// The address of a PDP: a port on loopback, with TLS or without, or a Unix socket.
struct PdpAddress {
  uint16_t port = 0;
  std::filesystem::path socket;  // not empty: instead of the port
  std::optional<LoadTls> tls;

  std::string host() const;  // for the Host header
};

struct HttpAnswer {
  unsigned status = 0;
  ByteView body;
  bool closes = false;  // the peer closes the connection after it
};

// One thread.
class LoadStream {
 public:
  // Connects and finishes the TLS handshake. kUnavailable.
  static Result<LoadStream> connect(const PdpAddress& address);
  LoadStream(LoadStream&& other) noexcept;
  LoadStream& operator=(LoadStream&& other) noexcept;
  ~LoadStream();

  int fd() const { return fd_; }
  // Sends the whole request; blocks while the peer reads slowly. kUnavailable.
  Result<void> send(ByteView request);
  // Makes receive() fail from now on.
  void abandon() const;
  // Reads the available bytes. nullopt: the answer is not complete. The answer's body is valid
  // until the next call. kUnavailable when the connection has ended, or for anything but an answer
  // with a Content-Length, the only form that PDPs send for small results.
  Result<std::optional<HttpAnswer>> receive();
  // Sends and waits for the answer. kTimeout.
  Result<HttpAnswer> ask(ByteView request, TimeMs patience_ms);

 private:
  explicit LoadStream(int fd) : fd_(fd) {}
  Result<void> start_tls(const LoadTls& tls);
  // Returns the number of bytes read; 0: none available.
  Result<size_t> read_some(char* into, size_t room);
  Result<std::optional<HttpAnswer>> parse();

  int fd_ = -1;
  CPointer<SSL, SSL_free> ssl_;
  Bytes buffer_;
  size_t answer_bytes_ = 0;  // at the front of the buffer, already returned
};

}  // namespace notp::bench
