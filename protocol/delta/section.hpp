// Sections: the container of an artifact, and the coding of a section's bytes. The layout is
// specified in protocol/delta/artifact.hpp.
#pragma once

#include "common/bytes.hpp"
#include "protocol/delta/encoding_tier.hpp"
#include "protocol/trust/release_envelope.hpp"

namespace notp::delta {

inline constexpr char kFormatVersion = 1;

enum class SectionKind : uint8_t { kEnvelope = 1, kProgram = 2, kSolid = 3, kBlob = 4, kEnd = 5 };
enum class Coding : uint8_t {
  kRaw = 0,
  kZstd = 1,
  kZstdReference = 2,
  kDelta = 3,
  kDifference = 4
};

struct Section {
  SectionKind kind = SectionKind::kEnd;
  Coding coding = Coding::kRaw;
  uint64_t raw_bytes = 0;  // within the limit of its kind
  ByteView coded;
};

// Whether decoding needs the section's reference.
constexpr bool needs_reference(Coding coding) {
  return coding == Coding::kZstdReference || coding == Coding::kDelta ||
         coding == Coding::kDifference;
}

// Takes a section off the front. kArtifact: cut short, unknown kind or coding, a length over the
// limit of the kind, or more coded bytes than raw ones.
Result<Section> take_section(ByteView& in);

// Decodes the bytes of a section other than ENVELOPE; `reference` is for the codings that need one.
// kArtifact. Memory: raw_bytes, which the caller has compared with the expected size, and some
// 3 MB.
Result<Bytes> decode_section(const Section& section, ByteView reference);
// Decodes an ENVELOPE; `base` may be empty. The result is read when it came as a difference.
// kArtifact.
Result<trust::ReleaseEnvelope> decode_envelope_section(const Section& section,
                                                       const trust::ReleaseEnvelope& base);

// Appends a section other than ENVELOPE in the smallest of its codings; `reference` may be empty.
// kCancelled.
Result<void> put_section(Bytes& out, SectionKind kind, ByteView raw, ByteView reference,
                         const EncodingTier& encoding_tier);
// The same for an ENVELOPE; `base` may be empty.
Result<void> put_envelope_section(Bytes& out, const trust::ReleaseEnvelope& target,
                                  const trust::ReleaseEnvelope& base,
                                  const EncodingTier& encoding_tier);
void put_end(Bytes& out);

}  // namespace notp::delta
