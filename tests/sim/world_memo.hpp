// Remembers what the pure functions of a simulated world have returned. Ten nodes install the same
// release from the same base, and most of what a registry compresses it has compressed before for
// another base.
//
// The functions of the library that are remembered: zstd_compress(), read_envelope(),
// apply_artifact(), x509::read_der(). Each has a replacement here that is linked in its place, and
// that finds an outcome by all bytes that went in, never by a name of theirs: content that a fault
// has changed is computed. An error is never remembered. apply_artifact() also reads the node's
// store; that is done anew each time, so that damage there is seen.
//
// Each thread has its own.
#pragma once

namespace notp::sim {

// Begins a world: forgets what is remembered of the previous one, but for certificates. False:
// every call is computed.
void begin_memo(bool remembers);

}  // namespace notp::sim
