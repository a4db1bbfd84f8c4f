// A question to the person at the terminal, before something that cannot be taken back.
#pragma once

#include <string_view>

#include "tools/notp/output.hpp"

namespace notp::cli {

// Standard input is a terminal.
bool is_somebody_here();

// Nothing when the answer is y or yes. kCancelled for any other answer; kUsage when nobody can be
// asked: standard input is no terminal, or the output is JSON.
Result<void> confirm(const Output& output, std::string_view question);

}  // namespace notp::cli
