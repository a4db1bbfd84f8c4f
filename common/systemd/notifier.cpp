#include "common/systemd/notifier.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <utility>

#include "common/log.hpp"
#include "common/systemd/variable.hpp"

namespace notp::systemd {
namespace {

using std::chrono::microseconds;

// A message about the state waits so long for room in the service manager's queue: lost, it would
// leave the service starting, or reloading.
constexpr time_t kSendSeconds = 5;
constexpr size_t kRoomForName = sizeof(sockaddr_un::sun_path) - 1;

void not_told(const std::string& reason) {
  log::warn("service_manager_not_told",
            {{"message", "the service manager does not learn of this process's state: " + reason}});
}

// The clock that systemd compares a reload's beginning with.
int64_t monotonic_us() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

std::string one_line(std::string_view text) {
  constexpr unsigned char kDelete = 0x7f;
  std::string line(text.substr(0, kStatusBytesMax));
  for (char& c : line)
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) == kDelete) c = ' ';
  // A cut inside of a character of UTF-8 would make systemd drop all of it.
  if (line.size() < text.size())
    while (!line.empty() && (static_cast<unsigned char>(text[line.size()]) & 0xc0U) == 0x80U)
      line.pop_back();
  return line;
}

std::optional<microseconds> watchdog_of(const std::string& us, const std::string& pid) {
  const auto value = number_of(us);
  if (!value || *value == 0 || !is_for_this_process(pid)) return std::nullopt;
  constexpr auto kMost = static_cast<uint64_t>(microseconds(std::chrono::hours(24)).count());
  return microseconds(std::min(*value, kMost));
}

}  // namespace

Notifier Notifier::take_from_environment() {
  const std::string name = take_variable("NOTIFY_SOCKET");
  const std::string watchdog_us = take_variable("WATCHDOG_USEC");
  const std::string watchdog_pid = take_variable("WATCHDOG_PID");
  Notifier out;
  if (name.empty()) return out;
  if ((name.front() != '/' && name.front() != '@') || name.size() > kRoomForName) {
    not_told(fmt::format("NOTIFY_SOCKET is '{}', neither a path nor an abstract name", name));
    return out;
  }
  Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval patience{kSendSeconds, 0};
  if (!socket.is_open() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
    not_told(std::strerror(errno));
    return out;
  }
  out.socket_ = std::move(socket);
  out.address_.sun_family = AF_UNIX;
  name.copy(out.address_.sun_path, kRoomForName);
  if (name.front() == '@') out.address_.sun_path[0] = '\0';
  out.address_bytes_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  out.watchdog_ = watchdog_of(watchdog_us, watchdog_pid);
  return out;
}

void Notifier::ready() {
  if (std::exchange(is_ready_, true)) return;
  send("READY=1", Importance::kState);
}

void Notifier::reloading() {
  if (!is_ready_) return;
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()), Importance::kState);
}

void Notifier::reloaded() {
  if (is_ready_) send("READY=1", Importance::kState);
}

void Notifier::stopping() { send("STOPPING=1", Importance::kState); }

void Notifier::alive() {
  if (watchdog_) send("WATCHDOG=1", Importance::kRepeated);
}

void Notifier::status(std::string_view text) {
  std::string line = one_line(text);
  if (line == status_ || !send("STATUS=" + line, Importance::kRepeated)) return;
  status_ = std::move(line);
}

bool Notifier::send(std::string_view message, Importance importance) {
  if (!socket_.is_open()) return false;
  const int flags = MSG_NOSIGNAL | (importance == Importance::kRepeated ? MSG_DONTWAIT : 0);
  ssize_t sent = 0;
  do
    sent = ::sendto(socket_.get(), message.data(), message.size(), flags,
                    reinterpret_cast<const sockaddr*>(&address_), address_bytes_);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) {
    has_failed_ = false;
    return true;
  }
  const int why = errno;
  if (!std::exchange(has_failed_, true)) not_told(std::strerror(why));
  return false;
}

}  // namespace notp::systemd
