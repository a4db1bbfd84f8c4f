// Wires the agent's parts together and runs them until a signal ends the process.
#pragma once

#include <functional>

#include "common/systemd/notifier.hpp"
#include "common/systemd/passed_sockets.hpp"
#include "notp-client/app/app_config.hpp"

namespace notp::client {

// Reloads the configuration.
using ConfigLoader = std::function<Result<ClientConfig>()>;

// Serves until SIGTERM or SIGINT; SIGHUP reloads the certificates and the configuration's API part
// (ApiConfig). Blocking. Returns errors of the start only; later failures are logged and survived.
// With sockets from a service manager it begins to accept once the stored releases decide.
Result<void> run_client(const ClientConfig& config, ConfigLoader load, systemd::Notifier notifier,
                        systemd::PassedSockets sockets);

// For an operator, after a clock that ran far ahead was corrected: sets the stored high-water mark
// of time to the wall clock. Returns a summary. kConflict: the agent is running.
Result<std::string> reset_clock(const ClientConfig& config);

// Returns the configuration for an OPA beside this agent, which names the file of its secret. With
// listen port 0 the actual port is read from the port file: kConfig when there is none.
Result<std::string> opa_config_of(const ClientConfig& config);

}  // namespace notp::client
