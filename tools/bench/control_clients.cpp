#include "tools/bench/control_clients.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cmath>

#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

constexpr int kEventsMax = 512;
constexpr size_t kReadBytes = 16 << 10, kDescriptorsKept = 64;

Error ended(size_t session) {
  return {
      ErrorCode::kUnavailable, fmt::format("the control's server ended session {}", session), {}};
}

Result<void> raise_descriptors(size_t sessions) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= sessions + kDescriptorsKept) return {};
  return fail(ErrorCode::kLimit, fmt::format("{} sessions need as many open files; the hard limit "
                                             "is {}: raise it (ulimit -Hn)",
                                             sessions, limit.rlim_max));
}

}  // namespace

Result<ControlClients> ControlClients::make(const ControlOptions& options) {
  NOTP_TRY(raise_descriptors(options.sessions));
  NOTP_ASSIGN(ControlTls tls, control_tls(options.folder, /*is_server=*/false));
  Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return fail(ErrorCode::kIo, "no epoll for the control's clients");
  ControlClients clients(std::move(tls), std::move(epoll));
  clients.sessions_.reserve(options.sessions);
  return clients;
}

Result<void> ControlClients::dial(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  Session session;
  session.socket = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  session.tls.reset(SSL_new(tls_.get()));
  const int on = 1;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u64 = sessions_.size();
  const int socket = session.socket.get();
  if (!session.socket.is_open() || !session.tls || SSL_set_fd(session.tls.get(), socket) != 1 ||
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
       errno != EINPROGRESS) ||
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event) != 0)
    return fail(ErrorCode::kIo, "a client of the control cannot connect");
  SSL_set_connect_state(session.tls.get());
  sessions_.push_back(std::move(session));
  return {};
}

Result<void> ControlClients::connect(uint16_t port, size_t at_once, TimeMs patience_ms,
                                     const OnBytes& arrived) {
  const size_t count = sessions_.capacity(), most = at_once == 0 ? count : at_once;
  size_t ready = 0;
  const OnBytes counted = [&](size_t session, size_t bytes) {
    ++ready;
    arrived(session, bytes);
  };
  const Stopwatch watch;
  while (ready < count) {
    while (sessions_.size() < count && sessions_.size() - ready < most) NOTP_TRY(dial(port));
    NOTP_TRY(wait(100, counted));
    if (watch.ms() > static_cast<double>(patience_ms))
      return fail(ErrorCode::kTimeout,
                  fmt::format("{} of {} sessions of the control are open", ready, count));
  }
  return {};
}

Result<void> ControlClients::read(size_t number, const OnBytes& arrived) {
  SSL* const tls = sessions_[number].tls.get();
  std::array<char, kReadBytes> buffer;
  for (;;) {
    const int got = SSL_read(tls, buffer.data(), static_cast<int>(buffer.size()));
    if (got > 0) {
      arrived(number, static_cast<size_t>(got));
      // With read_ahead, one read takes all that is there.
      if (SSL_has_pending(tls) == 0) return {};
      continue;
    }
    const ControlWait wait = control_wait(tls, got);
    if (wait == ControlWait::kEnded) return std::unexpected(ended(number));
    epoll_event event{};
    event.events = wait == ControlWait::kWrite ? EPOLLOUT : EPOLLIN;
    event.data.u64 = number;
    if (SSL_is_init_finished(tls) == 0 || wait == ControlWait::kWrite)
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, sessions_[number].socket.get(), &event);
    return {};
  }
}

Result<void> ControlClients::wait(double ms, const OnBytes& arrived) {
  std::array<epoll_event, kEventsMax> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax,
                                 static_cast<int>(std::ceil(std::max(ms, 0.0))));
  for (int i = 0; i < count; ++i) NOTP_TRY(read(events[static_cast<size_t>(i)].data.u64, arrived));
  return {};
}

Result<void> ControlClients::send(size_t session, ByteView bytes) {
  const int wrote =
      SSL_write(sessions_[session].tls.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (wrote != static_cast<int>(bytes.size())) return std::unexpected(ended(session));
  return {};
}

}  // namespace notp::bench
