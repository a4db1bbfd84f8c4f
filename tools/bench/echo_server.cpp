#include "tools/bench/echo_server.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/impl/src.hpp>  // common/asio/asio.cpp leaves it out: the product does not use it
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <memory>

#include "tools/bench/control_lines.hpp"
#include "tools/bench/control_tls.hpp"

namespace notp::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kBufferBytes = 1'024;  // as in the example

class EchoSession : public std::enable_shared_from_this<EchoSession> {
 public:
  EchoSession(tcp::socket socket, asio::ssl::context& context)
      : stream_(std::move(socket), context) {}

  void begin() {
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this()](const error_code& failed) {
                              if (failed) return;
                              self->buffer_[0] = '!';
                              self->write(1);
                            });
  }

 private:
  void read() {
    stream_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](const error_code& failed, size_t bytes) {
                              if (!failed) self->write(bytes);
                            });
  }
  void write(size_t bytes) {
    asio::async_write(stream_, asio::buffer(buffer_, bytes),
                      [self = shared_from_this()](const error_code& failed, size_t) {
                        if (!failed) self->read();
                      });
  }

  asio::ssl::stream<tcp::socket> stream_;
  std::array<char, kBufferBytes> buffer_{};
};

class EchoServer {
 public:
  EchoServer(ControlTls tls, ControlListener listener)
      : context_(tls.release()),
        acceptor_(io_, tcp::v4(), listener.socket.release()),
        input_(io_, ::dup(STDIN_FILENO)) {}

  void run() {
    accept();
    input_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this](const error_code&) { io_.stop(); });
    io_.run();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](const error_code& failed, tcp::socket socket) {
      if (!failed) {
        error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        std::make_shared<EchoSession>(std::move(socket), context_)->begin();
      }
      accept();
    });
  }

  asio::io_context io_{1};
  asio::ssl::context context_;
  tcp::acceptor acceptor_;
  asio::posix::stream_descriptor input_;
};

}  // namespace

Result<void> serve_echo(const std::filesystem::path& folder) {
  NOTP_ASSIGN(ControlTls tls, control_tls(folder, /*is_server=*/true));
  NOTP_ASSIGN(ControlListener listener, ControlListener::open());
  const uint16_t port = listener.port;
  EchoServer server(std::move(tls), std::move(listener));
  print_line(fmt::format("{}", port));
  server.run();
  return {};
}

}  // namespace notp::bench
