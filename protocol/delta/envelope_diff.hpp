// The envelope of a release as a difference to the envelope of another release of its ledger: what
// its reader cannot derive. protocol/delta/README.md, "Difference of an envelope".
#pragma once

#include <optional>

#include "common/bytes.hpp"

namespace notp::delta {

// nullopt: one of them is no envelope of a release, or they are of different ledgers.
std::optional<Bytes> encode_envelope_diff(ByteView base, ByteView target);

// The very bytes that were encoded; they are the one form of an envelope of a release, and not yet
// verified. kArtifact: malformed, made for another base, or not of `raw_bytes`.
Result<Bytes> decode_envelope_diff(ByteView coded, ByteView base, uint64_t raw_bytes);

}  // namespace notp::delta
