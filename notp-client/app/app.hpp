// Wires the agent's parts together and runs them until a signal ends it.
#pragma once

#include <functional>

#include "notp-client/app/app_config.hpp"

namespace notp {

// Reads the configuration again.
using ConfigLoader = std::function<Result<ClientConfig>()>;

// Serves until SIGTERM or SIGINT; SIGHUP reads the certificates again, and of the configuration
// what concerns the API (ApiConfig). Blocking. An error is one of the start; what fails later is
// logged and survived.
Result<void> run_client(const ClientConfig& config, ConfigLoader load);

// For a person, once a clock that ran far ahead is right again: lets the stored high-water mark of
// time be the wall clock. Says what it did. kConflict: the agent is running.
Result<std::string> reset_clock(const ClientConfig& config);

// The configuration for an OPA beside this agent, which names the file of its secret. With listen
// port 0 the port file tells the real port: kConfig when there is none.
Result<std::string> opa_config_of(const ClientConfig& config);

}  // namespace notp
