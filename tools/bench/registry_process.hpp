// One registry as a process, with its own data folder.
#pragma once

#include <filesystem>
#include <string>

#include "tools/bench/child.hpp"

namespace notp::bench {

class RegistryProcess {
 public:
  // `folder` has the root and, in pki/, the registry's certificate; `name` is the stem of its files
  // there. `more`: lines appended to its configuration; `port` 0: any. Returns when it accepts
  // requests. kUnavailable with its log.
  static Result<RegistryProcess> start(const std::filesystem::path& programs,
                                       const std::filesystem::path& folder, const std::string& name,
                                       const std::string& trust_domain,
                                       const std::string& more = {}, uint16_t port = 0);

  uint16_t port() const { return port_; }
  pid_t pid() const { return process_.pid(); }
  // Stops it gracefully. kTimeout, kInternal.
  Result<void> stop();

 private:
  RegistryProcess(Child process, uint16_t port) : process_(std::move(process)), port_(port) {}

  Child process_;
  uint16_t port_;
};

}  // namespace notp::bench
