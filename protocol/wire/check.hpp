// The rules for a message's content, the same for what is sent and for what is received.
#pragma once

#include "protocol/wire/messages.hpp"

namespace notp::wire {

// kMessage names the message, the field and the rule: ledger names by LedgerId::check, releases
// from 1 to kVersionMax, counts and lengths by common/limits.hpp.
Result<void> check(const Message& message);

}  // namespace notp::wire
