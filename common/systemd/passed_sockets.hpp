// Listening sockets that the service manager opened for this process (sd_listen_fds(3)): what
// connects while the process restarts waits in them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::systemd {

inline constexpr size_t kPassedSocketsMax = 64;

// One thread.
class PassedSockets {
 public:
  PassedSockets() = default;

  // Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES and removes them from the environment; takes
  // ownership of the descriptors, which children do not inherit. Those of another process are left
  // alone. Call it in main, before a descriptor is opened. kConfig: names that do not tell the
  // sockets apart.
  static Result<PassedSockets> take_from_environment();

  // kConfig: there is one of this name already.
  Result<void> add(std::string name, Descriptor socket);
  // Returns the socket of that name; a closed descriptor: none was passed, or it was taken.
  Descriptor take(std::string_view name);
  // The names of those that nothing has taken.
  std::vector<std::string> names() const;

 private:
  std::map<std::string, Descriptor, std::less<>> sockets_;
};

}  // namespace notp::systemd
