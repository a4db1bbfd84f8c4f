// What the replay gate uses of the agent's other parts.
#pragma once

#include "notp-client/agent/host/replay_gate.hpp"
#include "notp-client/app/app_config.hpp"
#include "notp-client/app/decision_records.hpp"

namespace notp::client {

// `records`: null when none are kept; outlives the gate. Only the embedded engine's decisions can
// be evaluated again: what an OPA decides, others may have changed over its API.
agent::ReplayGateParts gate_parts(const ClientConfig& config, DecisionRecords* records,
                                  prometheus::Registry& metrics);

}  // namespace notp::client
