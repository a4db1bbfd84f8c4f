// Another program of this machine, with its output in files, so that it need not be read while the
// program runs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace notp::cli {

// Starts the program that `command` begins with, found by PATH; its input is empty. `variables` as
// for execve(2). The caller waits for the child. kUsage.
Result<pid_t> start_program(std::vector<std::string> command, char* const* variables,
                            const std::filesystem::path& output,
                            const std::filesystem::path& errors);

}  // namespace notp::cli
