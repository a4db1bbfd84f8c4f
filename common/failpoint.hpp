// Named points at which a test ends the process, as kill -9 or a power cut would.
#pragma once

namespace notp {

// Ends the process with status 137, without destructors or flushes, when the environment variable
// NOTP_FAILPOINT is "<name>", or "<name>:<n>" and this is the nth pass. For tests only; unset, a
// point costs one load of a flag. Thread-safe.
void failpoint(const char* name) noexcept;

}  // namespace notp
