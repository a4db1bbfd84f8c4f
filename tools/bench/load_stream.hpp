// One kept connection to a PDP, over whichever way it is reached, and the HTTP answers on it. As
// little as a load generator needs, so that it costs little beside what it measures.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <optional>

#include "common/bytes.hpp"
#include "common/c_ptr.hpp"
#include "common/clock.hpp"

namespace notp::bench {

// The client's end of mutual TLS. Copies share it. Connections must be made on one thread at a
// time.
class LoadTls {
 public:
  // PEM files. Verifies that a server chains to `ca`, not its name: the address is loopback.
  static Result<LoadTls> make(const std::filesystem::path& certificate,
                              const std::filesystem::path& key, const std::filesystem::path& ca);
  SSL_CTX* get() const { return context_.get(); }

 private:
  explicit LoadTls(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {}
  std::shared_ptr<SSL_CTX> context_;
};

// Where a PDP is reached: a port on loopback, with TLS or without, or a Unix socket.
struct PdpAddress {
  uint16_t port = 0;
  std::filesystem::path socket;  // not empty: instead of the port
  std::optional<LoadTls> tls;

  std::string host() const;  // for the Host header
};

struct HttpAnswer {
  unsigned status = 0;
  ByteView body;
  bool closes = false;  // the peer ends the connection after it
};

// One thread.
class LoadStream {
 public:
  // Connected, TLS handshake done. kUnavailable.
  static Result<LoadStream> connect(const PdpAddress& address);
  LoadStream(LoadStream&& other) noexcept;
  LoadStream& operator=(LoadStream&& other) noexcept;
  ~LoadStream();

  int fd() const { return fd_; }
  // Sends all of it; waits when the peer takes it slowly. kUnavailable.
  Result<void> send(ByteView request);
  // receive() then fails.
  void abandon() const;
  // Reads what is there. nullopt: more of the answer is to come. The answer's body is good until
  // the next call. kUnavailable when the connection has ended or what came is no answer with a
  // Content-Length, which is all that PDPs send for small results.
  Result<std::optional<HttpAnswer>> receive();
  // Sends and waits for the answer. kTimeout.
  Result<HttpAnswer> ask(ByteView request, TimeMs patience_ms);

 private:
  explicit LoadStream(int fd) : fd_(fd) {}
  Result<void> start_tls(const LoadTls& tls);
  // Bytes read; 0: none for now.
  Result<size_t> read_some(char* into, size_t room);
  Result<std::optional<HttpAnswer>> parse();

  int fd_ = -1;
  CPointer<SSL, SSL_free> ssl_;
  Bytes buffer_;
  size_t answer_bytes_ = 0;  // at the front of the buffer, handed out
};

}  // namespace notp::bench
