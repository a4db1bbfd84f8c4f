#include "protocol/delta/section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/limits.hpp"
#include "common/zstd.hpp"
#include "protocol/delta/blob_delta.hpp"
#include "protocol/delta/envelope_diff.hpp"

namespace notp::delta {
namespace {

constexpr int kCodingShift = 4;  // the high half of the first byte
constexpr size_t kHeaderBytesMax = 1 + 2 * 10;
// Below this, zstd's hash tables cover the reference; above, long-distance matching finds the rest.
constexpr size_t kLongDistanceBytes = 1 << 20;
// When the reference already saves this much, coding without it is not worth the time.
constexpr size_t kGoodReferenceRatio = 4;
// Contents that are small with their reference get at least the first level: it costs milliseconds
// and is sent to every node. The second one helps small contents more often than not, so both are
// tried when that is equally cheap.
constexpr size_t kSmallSpanBytes = 256 << 10;
constexpr int kSmallLevelMin = 15, kSmallestLevelMin = 19;
constexpr size_t kSmallestBytes = 64 << 10, kTwoLevelsBytes = 32 << 10;

// zstd is tried against a blob's delta only when that takes milliseconds, or the delta saved
// little.
constexpr size_t kPatchBytes = 1 << 20;
constexpr size_t kGoodDeltaBytes = 128;
constexpr size_t kGoodDeltaRatio = 8;

bool worth_patching(SectionKind kind, size_t span_bytes, size_t raw_bytes, size_t delta_bytes) {
  if (kind != SectionKind::kBlob) return true;
  if (span_bytes <= kPatchBytes) return delta_bytes > kGoodDeltaBytes;
  return delta_bytes > raw_bytes / kGoodDeltaRatio;
}

uint64_t raw_bytes_max(SectionKind kind) {
  switch (kind) {
    case SectionKind::kEnvelope:
      return limits::kEnvelopeBytesMax;
    case SectionKind::kProgram:
      return limits::kPathProgramBytesMax;
    case SectionKind::kSolid:
      return limits::kSolidBytesMax;
    case SectionKind::kBlob:
      return limits::kBlobBytesMax;
    case SectionKind::kEnd:
      return 0;
  }
  return 0;
}

bool may_code(SectionKind kind, uint8_t coding) {
  if (coding <= static_cast<uint8_t>(Coding::kZstdReference)) return true;
  if (coding == static_cast<uint8_t>(Coding::kDelta)) return kind == SectionKind::kBlob;
  return coding == static_cast<uint8_t>(Coding::kDifference) && kind == SectionKind::kEnvelope;
}

std::unexpected<Error> cut_short() {
  return fail(ErrorCode::kArtifact, "an artifact is cut short");
}

Result<uint64_t> take_length(ByteView& in) {
  auto value = take_varint(in);
  if (!value)
    return fail(ErrorCode::kArtifact, "a section length is wrong: " + value.error().message);
  return *value;
}

std::vector<int> levels_for(size_t raw_bytes, size_t span_bytes, int level) {
  if (span_bytes > kSmallSpanBytes) return {level};
  const int first = std::max(level, kSmallLevelMin), second = std::max(level, kSmallestLevelMin);
  if (raw_bytes > kSmallestBytes) return {first};
  if (raw_bytes > kTwoLevelsBytes || first == second) return {second};
  return {first, second};
}

// Empty when the result has `bytes_max` bytes or more.
Result<Bytes> compress(ByteView raw, ByteView reference, const EncodingTier& encoding_tier,
                       size_t bytes_max) {
  const size_t span = raw.size() + reference.size();
  ZstdOptions options;
  options.keep_going = encoding_tier.keep_going;
  options.long_distance = span > kLongDistanceBytes;
  options.frame_bytes_max = bytes_max - 1;
  Bytes best;
  for (const int each : levels_for(raw.size(), span, encoding_tier.level)) {
    options.level = each;
    NOTP_ASSIGN(Bytes frame, zstd_compress(raw, reference, options));
    if (!frame.empty() && (best.empty() || frame.size() < best.size())) best = std::move(frame);
  }
  return best;
}

// `delta`: the bytes in the coding that this kind alone has; empty: none.
Result<void> put_smallest(Bytes& out, SectionKind kind, ByteView raw, ByteView reference,
                          Coding delta_coding, Bytes delta, const EncodingTier& encoding_tier) {
  Coding coding = Coding::kRaw;
  Bytes kept;
  ByteView best = raw;
  const auto offer = [&](Coding candidate, Bytes coded) {
    if (coded.empty() || coded.size() >= best.size()) return;
    coding = candidate;
    kept = std::move(coded);
    best = kept;
  };
  offer(delta_coding, std::move(delta));
  const bool referred = !reference.empty() && !raw.empty();
  if (referred && worth_patching(kind, raw.size() + reference.size(), raw.size(), best.size())) {
    NOTP_ASSIGN(Bytes coded, compress(raw, reference, encoding_tier, best.size()));
    offer(Coding::kZstdReference, std::move(coded));
  }
  if (best.size() * kGoodReferenceRatio > raw.size()) {
    NOTP_ASSIGN(Bytes coded, compress(raw, {}, encoding_tier, best.size()));
    offer(Coding::kZstd, std::move(coded));
  }
  // Includes the header and END, so that a large section is copied once.
  out.reserve(out.size() + best.size() + kHeaderBytesMax + 1);
  out.push_back(
      static_cast<char>(static_cast<uint8_t>(kind) | static_cast<uint8_t>(coding) << kCodingShift));
  put_varint(out, raw.size());
  put_varint(out, best.size());
  out += best;
  return {};
}

}  // namespace

Result<Section> take_section(ByteView& in) {
  if (in.empty()) return cut_short();
  const auto first = static_cast<uint8_t>(in.front());
  const uint8_t kind = first & ((1 << kCodingShift) - 1);
  const uint8_t coding = first >> kCodingShift;
  if (kind < 1 || kind > static_cast<uint8_t>(SectionKind::kEnd))
    return fail(ErrorCode::kArtifact, fmt::format("a section of unknown kind {}", kind));
  if (!may_code(static_cast<SectionKind>(kind), coding))
    return fail(ErrorCode::kArtifact, fmt::format("a section in unknown coding {}", coding));
  Section out{static_cast<SectionKind>(kind), static_cast<Coding>(coding), 0, {}};
  in.remove_prefix(1);
  if (out.kind == SectionKind::kEnd) {
    if (coding != 0) return fail(ErrorCode::kArtifact, "an END section with a coding");
    return out;
  }
  NOTP_ASSIGN(out.raw_bytes, take_length(in));
  if (out.raw_bytes > raw_bytes_max(out.kind))
    return fail(ErrorCode::kArtifact, fmt::format("a section of kind {} with {} bytes is over the "
                                                  "limit of {}",
                                                  kind, out.raw_bytes, raw_bytes_max(out.kind)));
  NOTP_ASSIGN(const uint64_t coded_bytes, take_length(in));
  const bool raw = out.coding == Coding::kRaw;
  if (raw ? coded_bytes != out.raw_bytes : coded_bytes >= out.raw_bytes)
    return fail(ErrorCode::kArtifact, "a section whose coded length does not fit its raw length");
  if (coded_bytes > in.size()) return cut_short();
  out.coded = in.substr(0, coded_bytes);
  in.remove_prefix(coded_bytes);
  return out;
}

Result<trust::ReleaseEnvelope> decode_envelope_section(const Section& section,
                                                       const trust::ReleaseEnvelope& base) {
  if (section.coding == Coding::kDifference && !base.bytes().empty())
    return decode_envelope_diff(section.coded, base, section.raw_bytes);
  NOTP_ASSIGN(Bytes bytes, decode_section(section, base));
  return bytes;
}

Result<Bytes> decode_section(const Section& section, ByteView reference) {
  if (needs_reference(section.coding) && reference.empty())
    return fail(ErrorCode::kArtifact, "a section refers to content that the base lacks");
  switch (section.coding) {
    case Coding::kRaw:
      return Bytes(section.coded);
    case Coding::kZstd:
      return zstd_decompress(section.coded, {}, section.raw_bytes);
    case Coding::kZstdReference:
      return zstd_decompress(section.coded, reference, section.raw_bytes);
    case Coding::kDelta:
      return decode_blob_delta(section.coded, reference, section.raw_bytes);
    case Coding::kDifference:
      break;  // only an ENVELOPE has it: decode_envelope_section()
  }
  return fail(ErrorCode::kArtifact, "a section in an unknown coding");
}

Result<void> put_section(Bytes& out, SectionKind kind, ByteView raw, ByteView reference,
                         const EncodingTier& encoding_tier) {
  Bytes delta;
  if (kind == SectionKind::kBlob && !reference.empty() && !raw.empty()) {
    NOTP_ASSIGN(delta, encode_blob_delta(reference, raw, encoding_tier));
  }
  return put_smallest(out, kind, raw, reference, Coding::kDelta, std::move(delta), encoding_tier);
}

Result<void> put_envelope_section(Bytes& out, const trust::ReleaseEnvelope& target,
                                  const trust::ReleaseEnvelope& base,
                                  const EncodingTier& encoding_tier) {
  Bytes difference;
  if (!base.bytes().empty()) difference = encode_envelope_diff(base, target).value_or(Bytes());
  return put_smallest(out, SectionKind::kEnvelope, target, base, Coding::kDifference,
                      std::move(difference), encoding_tier);
}

void put_end(Bytes& out) { out.push_back(static_cast<char>(SectionKind::kEnd)); }

}  // namespace notp::delta
