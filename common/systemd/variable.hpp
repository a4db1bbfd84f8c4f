// Variables that a service manager sets for one process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace notp::systemd {

// Reads a variable and removes it from the environment of this process; empty: it is not set.
std::string take_variable(const char* name);

// Whether what comes with a variable of a process id is for this process; an empty one is.
bool is_for_this_process(const std::string& pid);

// The value of a decimal number without a sign; nullopt: it is none.
std::optional<uint64_t> number_of(const std::string& text);

}  // namespace notp::systemd
