// Named points at which a test makes the process die, as kill -9 or a power cut would.
#pragma once

namespace notp {

// Ends the process with status 137, running no destructor and flushing no buffer, when the
// environment variable NOTP_FAILPOINT is "<name>", or "<name>:<n>" and this is the nth pass. For
// tests only; unset, a point costs one load of a flag. Thread-safe.
void failpoint(const char* name) noexcept;

}  // namespace notp
