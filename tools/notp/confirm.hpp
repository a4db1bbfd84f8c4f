// Asks the user at the terminal to confirm an operation that cannot be undone.
#pragma once

#include <string_view>

#include "tools/notp/output.hpp"

namespace notp::cli {

// Standard input is a terminal.
bool stdin_is_terminal();

// Succeeds when the answer is y or yes. kCancelled for any other answer; kUsage when no question
// can be asked: standard input is not a terminal, or the output is JSON.
Result<void> confirm(const Output& output, std::string_view question);

}  // namespace notp::cli
