// Codes the envelope of a release as a difference to the envelope of another release of its ledger:
// only the parts that its reader cannot derive. protocol/delta/README.md, "Difference of an
// envelope".
#pragma once

#include <optional>

#include "common/bytes.hpp"

namespace notp::delta {

// nullopt: one of them is not an envelope of a release, or their ledgers differ.
std::optional<Bytes> encode_envelope_diff(ByteView base, ByteView target);

// Returns the encoded bytes verbatim: the canonical form of an envelope of a release, not yet
// verified. kArtifact: malformed, made for another base, or not of `raw_bytes`.
Result<Bytes> decode_envelope_diff(ByteView coded, ByteView base, uint64_t raw_bytes);

}  // namespace notp::delta
