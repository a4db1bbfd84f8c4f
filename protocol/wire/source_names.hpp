// Names of what messages say of key sources, for policies, logs, metrics and tables.
#pragma once

#include <string_view>

#include "protocol/wire/messages/sources.hpp"

namespace notp::wire {

// "ok", "late", "failing", "suspect".
std::string_view source_state_name(IssuerState state);

}  // namespace notp::wire
