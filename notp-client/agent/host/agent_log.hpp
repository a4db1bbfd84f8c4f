// The log lines of what an agent's core has found out.
#pragma once

#include <string_view>

#include "notp-client/agent/core/agent_effect.hpp"

namespace notp {

void log_effect(const agent_effect::Alarm& alarm);
// `pdp` is the kind of the PDP.
void log_effect(const agent_effect::Changed& changed, std::string_view pdp);
void log_effect(const agent_effect::Aged& aged);
void log_effect(const agent_effect::RootAged& aged);
// A new root, a ledger that left; other changes are logged where they are found out.
void log_effect(const agent_effect::Persist& persist);

}  // namespace notp
