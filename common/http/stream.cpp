#include "common/http/stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace notp::http {
namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kRecordBytesMax = 16 << 10;  // RFC 8446 §5.1

}  // namespace

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
  boost::system::error_code ignored;
  socket_.native_non_blocking(true, ignored);
  io_.descriptor = socket_.native_handle();
}

Stream::~Stream() { SSL_free(ssl_); }

bool Stream::start_tls(SSL_CTX* context, Side side) {
  ssl_ = SSL_new(context);
  BIO* bio = ssl_ == nullptr ? nullptr : tls::new_socket_bio(io_);
  if (bio == nullptr) return false;
  SSL_set_bio(ssl_, bio, bio);
  if (side == Side::kServer)
    SSL_set_accept_state(ssl_);
  else
    SSL_set_connect_state(ssl_);
  return true;
}

Stream::Step Stream::handshake() {
  ERR_clear_error();
  const Step step = tls::step_of(ssl_, SSL_do_handshake(ssl_), io_);
  broken_ = step == Step::kFailed || step == Step::kEnd;
  return step;
}

Stream::Moved Stream::read(char* data, size_t size) {
  Moved moved;
  if (!is_open() || broken_) return moved;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    moved.step = tls::step_of(ssl_, SSL_read_ex(ssl_, data, size, &moved.bytes), io_);
    broken_ = moved.step == Step::kFailed;
    return moved;
  }
  const ssize_t received = ::recv(io_.descriptor, data, size, 0);
  if (received > 0) return {Step::kDone, static_cast<size_t>(received)};
  if (received == 0) return {Step::kEnd, 0};
  moved.step = tls::would_block() ? Step::kWantRead : Step::kFailed;
  return moved;
}

Stream::Moved Stream::write(ByteView head, ByteView body) {
  Moved moved;
  if (!is_open() || broken_) return moved;
  if (ssl_ != nullptr) {
    Bytes record;  // small parts share one
    ByteView part = head.empty() ? body : head;
    if (!head.empty() && !body.empty() && head.size() < kRecordBytesMax) {
      record.append(head).append(body.substr(0, kRecordBytesMax - head.size()));
      part = record;
    }
    ERR_clear_error();
    moved.step =
        tls::step_of(ssl_, SSL_write_ex(ssl_, part.data(), part.size(), &moved.bytes), io_);
    broken_ = moved.step == Step::kFailed;
    return moved;
  }
  std::array<iovec, 2> parts{iovec{const_cast<char*>(head.data()), head.size()},   // NOLINT
                             iovec{const_cast<char*>(body.data()), body.size()}};  // NOLINT
  msghdr header{};
  header.msg_iov = parts.data();
  header.msg_iovlen = parts.size();
  const ssize_t sent = ::sendmsg(io_.descriptor, &header, MSG_NOSIGNAL);
  if (sent >= 0) return {Step::kDone, static_cast<size_t>(sent)};
  moved.step = tls::would_block() ? Step::kWantWrite : Step::kFailed;
  return moved;
}

asio::awaitable<bool> Stream::wait(Step step) {
  if (!is_open()) co_return false;
  const auto type = step == Step::kWantWrite ? Socket::wait_write : Socket::wait_read;
  const auto [error] = co_await socket_.async_wait(type, kAwait);
  co_return !error;
}

void Stream::cancel() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

bool Stream::is_half_closed() const {
  pollfd look{io_.descriptor, POLLRDHUP, 0};
  return is_open() && ::poll(&look, 1, 0) > 0 &&
         (look.revents & (POLLRDHUP | POLLERR | POLLHUP)) != 0;
}

void Stream::finish_output() {
  if (!is_open()) return;
  ERR_clear_error();
  if (ssl_ != nullptr && !broken_ && SSL_is_init_finished(ssl_) != 0) SSL_shutdown(ssl_);
  ERR_clear_error();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace notp::http
