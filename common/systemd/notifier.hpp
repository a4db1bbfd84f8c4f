// Tells the service manager of this process's state: the protocol of sd_notify(3), spoken directly,
// because libsystemd would bring its compression and encryption libraries into a process that holds
// keys.
#pragma once

#include <sys/un.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "common/descriptor.hpp"

namespace notp::systemd {

inline constexpr size_t kStatusBytesMax = 1'000;  // of a status line; longer ones are cut

// One thread. Nothing here fails the process: without a service manager nothing is sent, and what
// cannot be sent is logged once.
class Notifier {
 public:
  // Sends nothing.
  Notifier() = default;

  // Reads NOTIFY_SOCKET (a path, or an abstract name that begins with '@'), WATCHDOG_USEC and
  // WATCHDOG_PID, and removes them from the environment: children of this process are not the
  // service. Call it in main, before threads start.
  static Notifier take_from_environment();

  bool is_connected() const { return socket_.is_open(); }
  // The service manager ends this process when alive() is not called for so long after ready();
  // nullopt: it does not watch.
  std::optional<std::chrono::microseconds> watchdog() const { return watchdog_; }

  // The process has started. A second call does nothing.
  void ready();
  // A new configuration is being loaded, and has been; nothing before ready().
  void reloading();
  void reloaded();
  void stopping();
  void alive();
  // A line for people. Sent when it differs from the one before; control characters become blanks.
  void status(std::string_view text);

 private:
  enum class Importance : uint8_t { kState, kRepeated };
  bool send(std::string_view message, Importance importance);

  Descriptor socket_;
  sockaddr_un address_{};
  socklen_t address_bytes_ = 0;
  std::optional<std::chrono::microseconds> watchdog_;
  std::string status_;  // the last one that was sent
  bool is_ready_ = false;
  bool has_failed_ = false;  // logged
};

}  // namespace notp::systemd
