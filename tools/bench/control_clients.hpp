// The clients of the controls over TLS: many sessions in this thread, with OpenSSL and epoll.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/bytes.hpp"
#include "common/descriptor.hpp"
#include "tools/bench/control_program.hpp"
#include "tools/bench/control_tls.hpp"

namespace notp::bench {

class ControlClients {
 public:
  // Bytes that a session has got.
  using OnBytes = std::function<void(size_t session, size_t bytes)>;

  // kLimit: this process may not open as many sockets.
  static Result<ControlClients> make(const ControlOptions& options);

  // Dials, with so many handshakes under way at most (0: all at once), until each session has a
  // byte, which the server sends when its side of the handshake is done. kUnavailable, kTimeout.
  Result<void> connect(uint16_t port, size_t at_once, TimeMs patience_ms, const OnBytes& arrived);
  // Waits for what comes, at most so long. kUnavailable: a session has ended.
  Result<void> wait(double ms, const OnBytes& arrived);
  Result<void> send(size_t session, ByteView bytes);
  size_t size() const { return sessions_.size(); }

 private:
  struct Session {
    Descriptor socket;  // closed after `tls`
    ControlSession tls;
  };
  explicit ControlClients(ControlTls tls, Descriptor epoll)
      : tls_(std::move(tls)), epoll_(std::move(epoll)) {}
  Result<void> dial(uint16_t port);
  Result<void> read(size_t number, const OnBytes& arrived);

  ControlTls tls_;
  Descriptor epoll_;
  std::vector<Session> sessions_;
};

}  // namespace notp::bench
