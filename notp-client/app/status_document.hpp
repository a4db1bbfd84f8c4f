// The agent's status for GET /v1/status, health and metrics. Pure.
#pragma once

#include "notp-client/agent/core/agent_status.hpp"
#include "notp-client/api/health_api.hpp"

namespace notp::client {

// The API's share of the status.
struct ApiStatus {
  std::string pdp;           // "embedded", "opa", "folder"
  std::string node;          // the identity in this node's certificate; empty: none
  std::string opa_hint;      // what the operator has to do about the OPA beside it; empty: nothing
  std::string route;         // to the registry: "directly", or through which proxy
  bool engine_up = true;     // the PDP can evaluate, whatever is active
  bool is_volatile = false;  // the disk takes no writes: stored state ends with the process
  json::object decisions;    // the state of their records; empty: none are kept
  json::object lane;         // the state of the token lane; empty: none is followed
  json::object txn;          // the state of the Txn-Token Service; empty: this agent is none
  std::string refusal;  // why no decision is given, as they cannot be recorded; empty: they are
};

// The agent's own members, and `result` with labels, bundles and plugins for clients of OPA's
// status. `now` is of the machine's clocks: ages include the time since the status was made.
json::object status_document(const agent::AgentStatus& status, const ApiStatus& api, Now now);

api::Health health_of(const agent::AgentStatus& status, const ApiStatus& api, Now now);

}  // namespace notp::client
