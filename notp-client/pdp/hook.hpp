// Runs an operator's program.
#pragma once

#include <string>
#include <vector>

#include "common/bytes.hpp"

namespace notp::pdp {

// Runs `argv` in its own process group, with `environment` ("NAME=value") added to this process's,
// standard input and output closed, and waits. kPdpRejected when it exits with anything but 0, with
// its standard error (the first kErrorTextBytesMax bytes); kTimeout when it is killed after
// `timeout_ms`; kConfig when it cannot be started. Blocking.
Result<void> run_hook(const std::vector<std::string>& argv,
                      const std::vector<std::string>& environment, int64_t timeout_ms);

}  // namespace notp::pdp
