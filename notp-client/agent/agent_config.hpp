// What the agent's configuration says about ledgers and the registry that has them.
#pragma once

#include "common/config.hpp"
#include "common/config_section.hpp"
#include "notp-client/agent/host/agent_host.hpp"

namespace notp {

// Both from the whole configuration. kConfig.
Result<AgentOptions> load_agent(const config::Section& root);
// The way to the registry: `environment` may name a proxy.
Result<AgentHostOptions> load_agent_host(const config::Section& root,
                                         const Environment& environment);

}  // namespace notp
