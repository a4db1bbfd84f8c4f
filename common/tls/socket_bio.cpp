#include "common/tls/socket_bio.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

namespace notp::tls {
namespace {

SocketIo& io_of(BIO* bio) { return *static_cast<SocketIo*>(BIO_get_data(bio)); }

int write(BIO* bio, const char* data, size_t size, size_t* done) {
  SocketIo& io = io_of(bio);
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(io.descriptor, data, size, MSG_NOSIGNAL);
  if (sent < 0) {
    if (would_block()) {
      BIO_set_retry_write(bio);
    } else {
      io.last_errno = errno;
    }
    return 0;
  }
  *done = static_cast<size_t>(sent);
  io.bytes_sent += *done;
  return 1;
}

int read(BIO* bio, char* data, size_t size, size_t* done) {
  SocketIo& io = io_of(bio);
  BIO_clear_retry_flags(bio);
  const ssize_t received = ::recv(io.descriptor, data, size, 0);
  if (received > 0) {
    *done = static_cast<size_t>(received);
    io.bytes_received += *done;
    return 1;
  }
  if (received == 0) {
    io.at_end = true;
  } else if (would_block()) {
    BIO_set_retry_read(bio);
  } else {
    io.last_errno = errno;
  }
  return 0;
}

long control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return io_of(bio).at_end ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* method() {
  static BIO_METHOD* const instance = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "notp socket");
    BIO_meth_set_write_ex(made, write);
    BIO_meth_set_read_ex(made, read);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return instance;
}

}  // namespace

Step step_of(const SSL* ssl, int outcome, const SocketIo& io) {
  switch (SSL_get_error(ssl, outcome)) {
    case SSL_ERROR_NONE:
      return Step::kDone;
    case SSL_ERROR_WANT_READ:
      return Step::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Step::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Step::kEnd;
    default:
      return io.at_end && ERR_peek_error() == 0 ? Step::kEnd : Step::kFailed;
  }
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

BIO* new_socket_bio(SocketIo& io) {
  BIO* bio = BIO_new(method());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, &io);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace notp::tls
