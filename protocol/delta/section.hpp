// Sections: the container of an artifact, and how the bytes of one section are coded. The layout is
// specified in protocol/delta/artifact.hpp.
#pragma once

#include "common/bytes.hpp"
#include "protocol/delta/encoding_tier.hpp"

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

// Does it take a section's reference to decode this?
constexpr bool needs_reference(Coding coding) {
  return coding == Coding::kZstdReference || coding == Coding::kDelta ||
         coding == Coding::kDifference;
}

// Takes a section off the front. kArtifact: cut short, unknown kind or coding, a length over the
// limit of the kind, or coded bytes that are more than the raw ones.
Result<Section> take_section(ByteView& in);

// The bytes of a section; `reference` is for those codings that need one. kArtifact. Memory:
// raw_bytes, which the caller has compared with what it expects, and some 3 MB.
Result<Bytes> decode_section(const Section& section, ByteView reference);

// Appends a section in the smallest of its codings; `reference` may be empty.
// kCancelled.
Result<void> put_section(Bytes& out, SectionKind kind, ByteView raw, ByteView reference,
                         const EncodingTier& encoding_tier);
void put_end(Bytes& out);

}  // namespace notp::delta
