// Writes the log lines for the effects of an agent's core.
#pragma once

#include <string_view>

#include "notp-client/agent/core/agent_effect.hpp"

namespace notp::agent {

void log_effect(const effect::Alarm& alarm);
// `pdp` is the kind of the PDP.
void log_effect(const effect::Changed& changed, std::string_view pdp);
void log_effect(const effect::Aged& aged);
void log_effect(const effect::SourceChanged& changed);
void log_effect(const effect::RootAged& aged);
// Logs a new root; other changes are logged where they are found or made.
void log_effect(const effect::Persist& persist);

}  // namespace notp::agent
