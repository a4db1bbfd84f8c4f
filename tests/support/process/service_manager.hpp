// A service manager as a daemon sees it: a datagram socket that receives its state, and listening
// sockets that outlive it.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/descriptor.hpp"
#include "tests/support/process/process.hpp"

namespace notp {

// The receiving end of NOTIFY_SOCKET.
class NotifySocket {
 public:
  // `name`: a path, or an abstract name that begins with '@'.
  explicit NotifySocket(std::string name)
      : name_(std::move(name)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name_.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0)
      throw std::runtime_error("cannot bind " + name_);
  }

  const std::string& name() const { return name_; }

  // The next message; empty when none comes in time.
  std::string next(milliseconds patience = kPatience) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(patience.count())) != 1) return {};
    char text[4096];
    const ssize_t got = ::recv(socket_.get(), text, sizeof text, 0);
    return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
  }
  // Reads until a message begins with this, and returns it; empty: none came in time.
  std::string await(std::string_view beginning, milliseconds patience = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
      std::string message = next(std::max(left, milliseconds(0)));
      if (message.empty() || message.starts_with(beginning)) return message;
    }
  }
  // Reads all that is there.
  std::vector<std::string> drain() {
    std::vector<std::string> out;
    for (std::string one; !(one = next(milliseconds(0))).empty();) out.push_back(std::move(one));
    return out;
  }

 private:
  const std::string name_;
  const Descriptor socket_;
};

// A socket that listens on a loopback port, as of a socket unit.
inline Descriptor listening_socket(int port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 4096) != 0)
    throw std::runtime_error("cannot listen on port " + std::to_string(port));
  return socket;
}

}  // namespace notp
