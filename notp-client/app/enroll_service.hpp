// `notp-client enroll --service`: the identity and configuration of the packaged agent, and its
// start. As root; before other threads start.
#pragma once

#include <filesystem>

#include "common/systemd/service_setup.hpp"
#include "notp-client/identity/enroll.hpp"

namespace notp::client {

class ServiceEnrollment {
 public:
  // Makes the folder of the agent, for its user. The codes of ServiceUser::find() and own();
  // kConflict: the service has another configuration.
  static Result<ServiceEnrollment> begin();

  // Where the identity goes.
  static const std::filesystem::path& folder() { return systemd::agent_service().folder; }
  // identity::enroll() as the user of the agent, who then owns what it makes.
  Result<identity::Enrolled> enroll(const identity::EnrollOptions& options) const;
  // Names the configuration where the unit looks for it, starts the agent where systemd runs, and
  // waits until it decides; says on standard output what it did, or what is to be started. `again`:
  // also an agent that runs. kTimeout: it has started, but does not decide yet; kIo.
  static Result<void> finish(bool again);

 private:
  explicit ServiceEnrollment(systemd::ServiceUser user) : user_(std::move(user)) {}

  systemd::ServiceUser user_;
};

}  // namespace notp::client
