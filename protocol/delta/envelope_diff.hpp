// Codes the envelope of a release as a difference to the envelope of another release of its ledger:
// only the parts that its reader cannot derive. protocol/delta/README.md, "Difference of an
// envelope".
#pragma once

#include <optional>

#include "protocol/trust/release_envelope.hpp"

namespace notp::delta {

// nullopt: one of them is not an envelope of a release, or their ledgers differ.
// What is read of them already is not parsed again.
std::optional<Bytes> encode_envelope_diff(trust::ReleaseEnvelope base,
                                          trust::ReleaseEnvelope target);

// Returns the encoded bytes verbatim, and read: the canonical form of an envelope of a release, not
// yet verified. kArtifact: malformed, made for another base, or not of `raw_bytes`.
Result<trust::ReleaseEnvelope> decode_envelope_diff(ByteView coded, trust::ReleaseEnvelope base,
                                                    uint64_t raw_bytes);

}  // namespace notp::delta
