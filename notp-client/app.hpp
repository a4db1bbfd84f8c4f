// Wires the agent's parts together and runs them until a signal ends it.
#pragma once

#include "notp-client/app_config.hpp"

namespace notp {

// Serves until SIGTERM or SIGINT; SIGHUP reads the certificates again. Blocking. An error is one of
// the start; what fails later is logged and survived.
Result<void> run_client(const ClientConfig& config);

// For a person, once a clock that ran far ahead is right again: lets the stored high-water mark of
// time be the wall clock. Says what it did. kConflict: the agent is running.
Result<std::string> reset_clock(const ClientConfig& config);

// The configuration for an OPA beside this agent. With listen port 0 the port file tells the real
// port: kConfig when there is none.
Result<std::string> opa_config_of(const ClientConfig& config);

}  // namespace notp
