// The bytes of a connection: a TCP or Unix socket, with TLS or without, that never blocks. Reads
// and writes go to the socket directly and Asio only signals when it is ready: an idle connection
// holds no buffer.
#pragma once

#include <openssl/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "common/bytes.hpp"
#include "common/tls/socket_bio.hpp"

namespace notp::http {

// Belongs to the strand of its socket. One coroutine at a time waits for it.
class Stream {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Step = tls::Step;
  enum class Side : uint8_t { kServer, kClient };
  struct Moved {
    Step step = Step::kFailed;
    size_t bytes = 0;
  };

  explicit Stream(Socket socket);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Called before the first byte; false when out of memory.
  bool start_tls(SSL_CTX* context, Side side);
  Step handshake();
  SSL* ssl() const { return ssl_; }

  Moved read(char* data, size_t size);
  // Writes a part of `head` and then of `body`; counts the bytes of both together.
  Moved write(ByteView head, ByteView body);

  // Waits until the step can be tried again; false when cancel() ended the wait.
  boost::asio::awaitable<bool> wait(Step step);
  // Ends the pending wait.
  void cancel();

  // Whether the other end has closed its side, even if unread bytes precede that.
  bool is_half_closed() const;
  // Sends no more; incoming bytes may still be read.
  void finish_output();
  void close();
  bool is_open() const { return socket_.is_open(); }
  Socket& socket() { return socket_; }

 private:
  Socket socket_;
  tls::SocketIo io_;
  SSL* ssl_ = nullptr;
  bool broken_ = false;  // TLS state is lost: no more calls into it
};

}  // namespace notp::http
