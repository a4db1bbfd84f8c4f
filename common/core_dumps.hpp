// Keeps the memory of this process, with its keys and inputs, out of core dumps.
#pragma once

#include "common/result.hpp"

namespace notp {

// Forbids images of this process's memory for its lifetime: no core file (RLIMIT_CORE 0, soft and
// hard, which programs started later inherit) and none for a handler in core_pattern, which ignores
// that limit (PR_SET_DUMPABLE 0, which a program that is started later does not inherit). Users
// without CAP_SYS_PTRACE can then neither attach a debugger nor read /proc/<pid>/environ, maps, fd
// and the like, not even as the same user. Call it once, early, before secrets are read. kIo: the
// kernel refuses.
Result<void> disable_core_dumps();

}  // namespace notp
