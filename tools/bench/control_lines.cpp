#include "tools/bench/control_lines.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace notp::bench {
namespace {

constexpr int kBacklog = 65'535;  // the system's own limit counts

}  // namespace

std::optional<std::vector<std::string>> ControlLines::read(int descriptor) {
  std::array<char, 4'096> buffer;
  const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
  if (got <= 0) return std::nullopt;
  rest_.append(buffer.data(), static_cast<size_t>(got));
  std::vector<std::string> lines;
  for (size_t end = 0; (end = rest_.find('\n')) != std::string::npos;) {
    lines.push_back(rest_.substr(0, end));
    rest_.erase(0, end + 1);
  }
  return lines;
}

void print_line(const std::string& line) {
  std::puts(line.c_str());
  std::fflush(stdout);
}

Result<ControlListener> ControlListener::open() {
  ControlListener listener;
  listener.socket = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  const int socket = listener.socket.get();
  if (!listener.socket.is_open() || ::bind(socket, any, size) != 0 ||
      ::listen(socket, kBacklog) != 0 || ::getsockname(socket, any, &size) != 0)
    return fail(ErrorCode::kIo, "the control cannot listen on loopback");
  listener.port = ntohs(address.sin_port);
  return listener;
}

}  // namespace notp::bench
