// A BIO through which OpenSSL reads and writes a non-blocking socket. OpenSSL's socket BIO calls
// write(2), which raises SIGPIPE, and does not count bytes.
#pragma once

#include <openssl/types.h>

#include <cstdint>

namespace notp::tls {

// Belongs to the thread that uses the connection.
struct SocketIo {
  int descriptor = -1;
  int last_errno = 0;   // 0: nothing has failed
  bool at_end = false;  // the peer's end of the stream was read
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
};

// The BIO reads and writes `io.descriptor`, and refers to `io`, which must outlive it. Null when
// out of memory.
BIO* new_socket_bio(SocketIo& io);

// The result of a call on a connection over such a BIO.
enum class Step : uint8_t { kDone, kWantRead, kWantWrite, kEnd, kFailed };

// Classifies the outcome of SSL_read_ex, SSL_do_handshake and similar. kEnd is the peer's, with or
// without close_notify.
Step step_of(const SSL* ssl, int outcome, const SocketIo& io);

// Whether errno means that the operation has to wait.
bool would_block();

}  // namespace notp::tls
