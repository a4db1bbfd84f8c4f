#include "tools/bench/raw_fan_out.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <string>

#include "tools/bench/samples.hpp"

namespace notp::bench {
namespace {

using std::chrono::steady_clock;

constexpr int kBacklog = 4'096, kEventsMax = 512;
constexpr size_t kReadBytes = 64 << 10;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// The writer's life: accepts, then writes as it is told. Ends with the pipe.
[[noreturn]] void write_on_command(int listener, int commands, size_t connections) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<int> sockets;
  while (sockets.size() < connections) {
    const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted < 0) ::_exit(1);
    const int on = 1;
    ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets.push_back(accepted);
  }
  uint32_t size = 0;
  while (::read(commands, &size, sizeof size) == sizeof size) {
    const std::string bytes(size, 'x');
    for (const int socket : sockets)
      for (size_t done = 0; done < bytes.size();) {
        const ssize_t wrote = ::write(socket, bytes.data() + done, bytes.size() - done);
        if (wrote <= 0) ::_exit(1);
        done += static_cast<size_t>(wrote);
      }
  }
  ::_exit(0);
}

}  // namespace

Result<std::unique_ptr<RawFanOut>> RawFanOut::start(size_t connections) {
  std::unique_ptr<RawFanOut> fan(new RawFanOut());
  const auto broken = [] { return fail(ErrorCode::kIo, "the control cannot be set up"); };
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  std::array<int, 2> pipe_ends{};
  if (listener < 0 || ::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, kBacklog) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::pipe2(pipe_ends.data(), O_CLOEXEC) != 0)
    return broken();
  fan->writer_ = ::fork();
  if (fan->writer_ < 0) return broken();
  if (fan->writer_ == 0) {
    ::close(pipe_ends[1]);
    write_on_command(listener, pipe_ends[0], connections);
  }
  ::close(pipe_ends[0]);
  ::close(listener);
  fan->commands_ = pipe_ends[1];
  fan->port_ = ntohs(address.sin_port);
  fan->count_ = connections;
  return fan;
}

Result<void> RawFanOut::connect() {
  const sockaddr_in address = loopback(port_);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < count_; ++i) {
    const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (connection < 0 ||
        ::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection, &event) != 0)
      return fail(ErrorCode::kIo, "the control cannot connect");
    connections_.push_back(connection);
  }
  return {};
}

RawFanOut::~RawFanOut() {
  if (commands_ >= 0) ::close(commands_);
  for (const int connection : connections_) ::close(connection);
  if (epoll_ >= 0) ::close(epoll_);
  if (writer_ > 0) {
    ::kill(writer_, SIGKILL);
    ::waitpid(writer_, nullptr, 0);
  }
}

Result<TimeCounts> RawFanOut::run(size_t bytes, size_t count, double rate, TimeMs patience_ms) {
  if (connections_.empty()) NOTP_TRY(connect());
  TimeCounts times;
  const auto start = steady_clock::now();
  const auto due = [&](size_t write) {
    return start + std::chrono::duration_cast<steady_clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(write) / rate));
  };
  std::vector<uint64_t> read(connections_.size());
  std::string buffer(kReadBytes, '\0');
  const uint64_t total = static_cast<uint64_t>(count) * connections_.size();
  for (size_t commanded = 0; times.count() < total;) {
    const auto now = steady_clock::now();
    if (ms_between(start, now) > static_cast<double>(patience_ms) + 1e3 * count / rate)
      return fail(ErrorCode::kTimeout, "the control's writes do not arrive");
    if (commanded < count && now >= due(commanded)) {
      const auto size = static_cast<uint32_t>(bytes);
      if (::write(commands_, &size, sizeof size) != sizeof size)
        return fail(ErrorCode::kIo, "the control's writer has ended");
      ++commanded;
      continue;
    }
    std::array<epoll_event, kEventsMax> events{};
    const double wait_ms = commanded < count ? ms_between(now, due(commanded)) : 100;
    const int ready =
        ::epoll_wait(epoll_, events.data(), kEventsMax, static_cast<int>(std::max(wait_ms, 0.0)));
    for (int i = 0; i < ready; ++i) {
      const size_t number = events[static_cast<size_t>(i)].data.u64;
      const ssize_t got = ::recv(connections_[number], buffer.data(), buffer.size(), 0);
      if (got <= 0) return fail(ErrorCode::kIo, "the control's writer has ended");
      const auto when = steady_clock::now();
      const uint64_t before = read[number] / bytes;
      read[number] += static_cast<uint64_t>(got);
      for (uint64_t write = before; write < read[number] / bytes; ++write)
        times.add(ms_between(due(write), when));
    }
  }
  return times;
}

}  // namespace notp::bench
