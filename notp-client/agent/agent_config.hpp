// Loads the agent's configuration of ledgers and of the registry that serves them.
#pragma once

#include "common/config.hpp"
#include "common/config_section.hpp"
#include "notp-client/agent/host/agent_host.hpp"

namespace notp::agent {

// Both read the whole configuration. kConfig.
Result<AgentOptions> load_agent(const config::Section& root);
// How to reach the registry: `environment` may name a proxy.
Result<AgentHostOptions> load_agent_host(const config::Section& root,
                                         const Environment& environment);

}  // namespace notp::agent
