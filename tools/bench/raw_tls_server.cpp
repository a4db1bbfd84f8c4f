#include "tools/bench/raw_tls_server.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/descriptor.hpp"
#include "tools/bench/control_lines.hpp"
#include "tools/bench/control_tls.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

// Few events a turn: connections that wait are accepted in between.
constexpr int kEventsMax = 64;
constexpr size_t kWriteBytesMax = 1 << 20;

class RawTlsServer {
 public:
  static Result<void> run(const std::filesystem::path& folder) {
    RawTlsServer server;
    NOTP_ASSIGN(server.tls_, control_tls(folder, /*is_server=*/true));
    NOTP_ASSIGN(ControlListener listener, ControlListener::open());
    server.listener_ = std::move(listener.socket);
    server.epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
    if (!server.watch(server.listener_.get(), EPOLLIN, EPOLL_CTL_ADD) ||
        !server.watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD))
      return fail(ErrorCode::kIo, "epoll takes no descriptor");
    print_line(fmt::format("{}", listener.port));
    return server.loop();
  }

 private:
  struct Session {
    Descriptor socket;
    ControlSession tls;
    bool is_open = false;
  };

  bool watch(int descriptor, uint32_t events, int how) {
    epoll_event event{};
    event.events = events;
    event.data.fd = descriptor;
    return ::epoll_ctl(epoll_.get(), how, descriptor, &event) == 0;
  }

  Result<void> loop() {
    std::array<epoll_event, kEventsMax> events;
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, -1);
      for (int i = 0; i < count; ++i) {
        const int descriptor = events[static_cast<size_t>(i)].data.fd;
        if (descriptor == listener_.get()) {
          NOTP_TRY(accept_all());
        } else if (descriptor == STDIN_FILENO) {
          NOTP_ASSIGN(const bool goes_on, take_commands());
          if (!goes_on) return {};
        } else {
          turn(descriptor);
        }
      }
    }
  }

  Result<void> accept_all() {
    for (;;) {
      Session session;
      session.socket =
          Descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!session.socket.is_open()) return {};
      const int socket = session.socket.get(), on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      session.tls.reset(SSL_new(tls_.get()));
      if (!session.tls || SSL_set_fd(session.tls.get(), socket) != 1 ||
          !watch(socket, EPOLLIN, EPOLL_CTL_ADD))
        return fail(ErrorCode::kIo, "a session cannot begin");
      SSL_set_accept_state(session.tls.get());
      sessions_.insert_or_assign(socket, std::move(session));
    }
  }

  // A step of the handshake; of an open session, only its end is awaited.
  void turn(int socket) {
    Session& session = sessions_[socket];
    SSL* const tls = session.tls.get();
    char ignored = 0;
    const int result = session.is_open ? SSL_read(tls, &ignored, 1) : SSL_do_handshake(tls);
    const ControlWait wait = control_wait(tls, result);
    if (wait == ControlWait::kEnded) {
      sessions_.erase(socket);
    } else if (wait == ControlWait::kWrite) {
      watch(socket, EPOLLOUT, EPOLL_CTL_MOD);
    } else if (wait == ControlWait::kRead) {
      watch(socket, EPOLLIN, EPOLL_CTL_MOD);
    } else if (!session.is_open) {
      session.is_open = SSL_write(tls, "!", 1) == 1;
      ++done_;
    }
  }

  // False: nobody is there to say more.
  Result<bool> take_commands() {
    const auto lines = commands_.read(STDIN_FILENO);
    if (!lines) return false;
    for (const std::string& line : *lines) {
      if (line == "usage") {
        print_line(fmt::format("{} {}", all_.processor_s(), done_));
      } else if (line.starts_with("write ")) {
        NOTP_TRY(write_all(std::strtoull(line.c_str() + 6, nullptr, 10)));
      } else {
        return fail(ErrorCode::kUsage, "no such command: " + line);
      }
    }
    return true;
  }

  Result<void> write_all(size_t bytes) {
    const std::string content(std::min(bytes, kWriteBytesMax), 'x');
    const Stopwatch watch;
    const double before_s = thread_processor_s();
    for (auto& [socket, session] : sessions_)
      if (SSL_write(session.tls.get(), content.data(), static_cast<int>(content.size())) !=
          static_cast<int>(content.size()))
        return fail(ErrorCode::kUnavailable, "a session takes no more");
    const double processor_s = thread_processor_s() - before_s;
    print_line(fmt::format("{} {}", processor_s, watch.seconds()));
    return {};
  }

  ControlTls tls_;
  Descriptor listener_, epoll_;
  std::unordered_map<int, Session> sessions_;
  ControlLines commands_;
  Stopwatch all_;
  uint64_t done_ = 0;
};

}  // namespace

Result<void> serve_raw_tls(const std::filesystem::path& folder) {
  return RawTlsServer::run(folder);
}

}  // namespace notp::bench
