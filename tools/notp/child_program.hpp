// Another program of this machine, with its output in files, so that it need not be read while the
// program runs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/config.hpp"
#include "common/result.hpp"

namespace notp::cli {

// Starts the program that `command` begins with, found by PATH; its input is empty. `variables` as
// for execve(2). The caller waits for the child. kUsage.
Result<pid_t> start_program(std::vector<std::string> command, char* const* variables,
                            const std::filesystem::path& output,
                            const std::filesystem::path& errors);

// The file of another program of this installation: beside this one, where an installation and a
// build put it; else its name, to be found by PATH.
std::string program_file(const std::string& name);

struct ChildOutput {
  Bytes output, errors;
};
// Runs the program to its end, whatever its status, with this environment alone; it is killed when
// that takes longer. kUsage; kTimeout; kLimit: it says more than 4 MiB; kIo.
Result<ChildOutput> run_program(std::vector<std::string> command, const Environment& environment,
                                int timeout_ms);

}  // namespace notp::cli
