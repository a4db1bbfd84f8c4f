// What a packaged unit expects on its machine: a folder of its user, its configuration in
// /etc/notp, and its start. For commands that root types; before other threads start.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "common/result.hpp"

namespace notp::systemd {

// A unit as it is installed. User and group have its name.
struct Service {
  std::string unit;
  std::filesystem::path folder;         // StateDirectory=
  std::filesystem::path configuration;  // ConditionPathExists=
};

const Service& registry_service();  // notp-server
const Service& agent_service();     // notp-client

// The user of a service, as whom everything is done that its processes could interfere with:
// links that they plant then reach no further than they do themselves.
class ServiceUser {
 public:
  // kUsage when this process is not root's; kNotFound when there is no such user.
  static Result<ServiceUser> find(const Service& service);

  // Runs `body`, which returns a Result, with the effective user and groups of this one; root's
  // again afterwards. kIo when this process may not change its user.
  template <typename Body>
  std::invoke_result_t<Body> run(Body&& body) const {
    std::vector<gid_t> groups;
    NOTP_TRY(become(groups));
    const Return back{groups};
    return std::forward<Body>(body)();
  }

  // Makes the folder of the service with mode 0700, or takes an empty one of root's. kConflict: it
  // belongs to somebody else; kIo.
  Result<void> own(const std::filesystem::path& folder) const;

 private:
  ServiceUser(std::string name, uid_t uid, gid_t gid)
      : name_(std::move(name)), uid_(uid), gid_(gid) {}

  struct Return {
    const std::vector<gid_t>& groups;
    ~Return() { become_root(groups); }
  };

  Result<void> become(std::vector<gid_t>& groups_before) const;
  static void become_root(const std::vector<gid_t>& groups);

  std::string name_;
  uid_t uid_;
  gid_t gid_;
};

// Whether the service's configuration is `target`; false: there is none. kConflict: it is another.
Result<bool> is_configured(const Service& service, const std::filesystem::path& target);
// Makes the configuration a link to `target`; false: it was one. kConflict: it is another; kIo.
Result<bool> configure(const Service& service, const std::filesystem::path& target);

// Whether systemd runs this machine.
bool is_running();
// Has systemd start the service, now and with the machine, and waits until it is ready; with
// `again` also one that runs. What systemctl says goes to standard error. kIo.
Result<void> start(const Service& service, bool again = false);
// What starts it where no systemd runs, as a line for a shell.
std::string command_of(const Service& service);

}  // namespace notp::systemd
