// What the agent says of itself: GET /v1/status, health, metrics. Pure.
#pragma once

#include "notp-client/agent/core/agent_status.hpp"
#include "notp-client/api/health_api.hpp"

namespace notp {

// What the API knows and the agent does not.
struct ApiStanding {
  std::string pdp;           // "embedded", "opa", "folder"
  std::string node;          // the identity of the own certificate; empty: none
  std::string opa_hint;      // what a person has to do about the OPA beside; empty: nothing
  std::string route;         // to the registry: "directly", or through which proxy
  bool engine_up = true;     // the PDP can evaluate, whatever is active
  bool is_volatile = false;  // the disk takes no writes: what the node keeps ends with the process
};

// The agent's own members, and beside them `result` with labels, bundles and plugins for clients of
// OPA's status. `now` is of the machine's clocks: ages go on since the status was made.
json::object status_document(const AgentStatus& status, const ApiStanding& freshness_status,
                             Now now);

Health health_of(const AgentStatus& status, const ApiStanding& freshness_status, Now now);

}  // namespace notp
