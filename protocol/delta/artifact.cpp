#include "protocol/delta/artifact.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/delta/content_layout.hpp"
#include "protocol/delta/section.hpp"
#include "protocol/delta/tree_diff.hpp"

namespace notp::delta {
namespace {

// Content loaded by a hash must at least have the size that the tree states.
Result<model::Content> load(const ReleaseContent& from, const model::FileEntry& entry) {
  NOTP_ASSIGN(model::Content content, from.load(entry.hash));
  if (content == nullptr || content->size() != entry.bytes)
    return fail(
        ErrorCode::kCorrupt,
        fmt::format("stored content {} has another size than its tree says", entry.hash.brief()));
  return content;
}

Result<Bytes> join(const ReleaseContent* base,
                   const std::vector<const model::FileEntry*>& entries) {
  uint64_t bytes = 0;
  for (const model::FileEntry* entry : entries) bytes += entry->bytes;
  Bytes out;
  out.reserve(bytes);
  for (const model::FileEntry* entry : entries) {
    NOTP_ASSIGN(const model::Content content, load(*base, *entry));
    out += *content;
  }
  return out;
}

// Loads content to compare with or decode against; null when there is none.
Result<model::Content> load_reference(const ReleaseContent* base, const model::FileEntry* entry) {
  if (entry == nullptr) return model::Content();
  return load(*base, *entry);
}

ByteView view(const model::Content& content) { return content ? ByteView(*content) : ByteView(); }

// The sections of an artifact, by kind and in order, not yet decoded.
struct Sections {
  Section envelope, program;
  std::vector<Section> solids, blobs;
};

Result<void> take_version(ByteView& in) {
  if (in.empty()) return fail(ErrorCode::kArtifact, "an artifact is cut short");
  if (in.front() != kFormatVersion)
    return fail(ErrorCode::kArtifact, fmt::format("an artifact of unknown format version {}",
                                                  static_cast<uint8_t>(in.front())));
  in.remove_prefix(1);
  return {};
}

Result<Section> take_kind(ByteView& in, SectionKind kind) {
  NOTP_ASSIGN(const Section section, take_section(in));
  if (section.kind != kind)
    return fail(ErrorCode::kArtifact, "sections are missing or out of order");
  return section;
}

// Every section but the first two holds at least one file.
Result<Sections> split(ByteView artifact, uint64_t file_count) {
  if (artifact.size() > limits::kArtifactBytesMax)
    return fail(ErrorCode::kArtifact,
                fmt::format("an artifact of {} bytes is over the limit", artifact.size()));
  Sections out;
  NOTP_TRY(take_version(artifact));
  NOTP_ASSIGN(out.envelope, take_kind(artifact, SectionKind::kEnvelope));
  NOTP_ASSIGN(out.program, take_kind(artifact, SectionKind::kProgram));
  for (;;) {
    NOTP_ASSIGN(const Section section, take_section(artifact));
    if (section.kind == SectionKind::kEnd) break;
    if (section.kind == SectionKind::kSolid && out.blobs.empty())
      out.solids.push_back(section);
    else if (section.kind == SectionKind::kBlob)
      out.blobs.push_back(section);
    else
      return fail(ErrorCode::kArtifact, "sections are missing or out of order");
    if (out.solids.size() + out.blobs.size() > file_count)
      return fail(ErrorCode::kArtifact, "more sections than files were signed for");
  }
  if (!artifact.empty()) return fail(ErrorCode::kArtifact, "bytes after the END section");
  return out;
}

// The sections must be exactly those that the program requires; checked before decoding.
Result<void> match(const Sections& sections, const ContentLayout& layout) {
  bool fits = sections.solids.size() == layout.solids.size() &&
              sections.blobs.size() == layout.blobs.size();
  for (size_t i = 0; fits && i < layout.solids.size(); ++i)
    fits = sections.solids[i].raw_bytes == layout.solids[i].raw_bytes;
  for (size_t i = 0; fits && i < layout.blobs.size(); ++i)
    fits = sections.blobs[i].raw_bytes == layout.contents[layout.blobs[i]].bytes;
  if (fits) return {};
  return fail(ErrorCode::kArtifact, "the sections are not those that the path program calls for");
}

Result<Program> decode_program(const Section& section, const BaseIndex& base,
                               const ApplyLimits& limits) {
  if (section.raw_bytes > program_bytes_max(base, limits.file_count))
    return fail(ErrorCode::kArtifact,
                "a path program is longer than its base and the files signed "
                "for can make it");
  NOTP_ASSIGN(const Bytes bytes, decode_section(section, {}));
  return parse_program(bytes, base, limits.file_count);
}

struct Decoded {
  std::vector<Hash> hashes;  // of the new contents
  model::BlobMap blobs;

  void keep(size_t content, Bytes bytes) {
    hashes[content] = model::blob_hash(bytes);
    blobs.try_emplace(hashes[content], std::make_shared<const Bytes>(std::move(bytes)));
  }
};

Result<Decoded> decode_contents(const Sections& sections, const ContentLayout& layout,
                                const ReleaseContent* base) {
  Decoded out;
  out.hashes.resize(layout.contents.size());
  for (size_t i = 0; i < layout.solids.size(); ++i) {
    const SolidGroup& group = layout.solids[i];
    Bytes reference;
    if (needs_reference(sections.solids[i].coding)) {
      NOTP_ASSIGN(reference, join(base, group.references));
    }
    NOTP_ASSIGN(const Bytes raw, decode_section(sections.solids[i], reference));
    size_t at = 0;
    for (const size_t member : group.members) {
      const uint64_t bytes = layout.contents[member].bytes;
      out.keep(member, raw.substr(at, bytes));
      at += bytes;
    }
  }
  for (size_t i = 0; i < layout.blobs.size(); ++i) {
    const size_t member = layout.blobs[i];
    model::Content reference;
    if (needs_reference(sections.blobs[i].coding)) {
      NOTP_ASSIGN(reference, load_reference(base, layout.contents[member].reference));
    }
    NOTP_ASSIGN(Bytes raw, decode_section(sections.blobs[i], view(reference)));
    out.keep(member, std::move(raw));
  }
  return out;
}

Result<void> encode_contents(Bytes& out, const TreeDiff& diff, const ContentLayout& layout,
                             const ReleaseContent* base, const ReleaseContent& target,
                             const EncodingTier& encoding_tier) {
  const auto load_new = [&](size_t i) {
    return load(target, {diff.contents[i], layout.contents[i].bytes});
  };
  for (const SolidGroup& group : layout.solids) {
    NOTP_ASSIGN(const Bytes reference, join(base, group.references));
    Bytes raw;
    for (const size_t member : group.members) {
      NOTP_ASSIGN(const model::Content content, load_new(member));
      raw += *content;
    }
    NOTP_TRY(put_section(out, SectionKind::kSolid, raw, reference, encoding_tier));
  }
  for (const size_t member : layout.blobs) {
    NOTP_ASSIGN(const model::Content reference,
                load_reference(base, layout.contents[member].reference));
    NOTP_ASSIGN(const model::Content content, load_new(member));
    NOTP_TRY(put_section(out, SectionKind::kBlob, *content, view(reference), encoding_tier));
  }
  return {};
}

}  // namespace

Hash artifact_id(const Hash& base_release, const Hash& target_release, uint32_t encoding_tier) {
  static constexpr ByteView kTag{"notp.artifact.v1\0", 17};
  Bytes numbers;
  put_varint(numbers, kCodecVersion);
  if (encoding_tier != 0) put_varint(numbers, encoding_tier);
  return Sha256()
      .update(kTag)
      .update(base_release.view())
      .update(target_release.view())
      .update(numbers)
      .finish();
}

Result<Bytes> encode_artifact(const ReleaseContent* base, const ReleaseContent& target,
                              const EncodeOptions& options) {
  if (target.envelope.bytes().size() > limits::kEnvelopeBytesMax)
    return fail(ErrorCode::kLimit, "an envelope is over the limit");
  const model::Tree* const base_tree = base ? base->tree : nullptr;
  const BaseIndex index(base_tree);
  const TreeDiff diff = diff_trees(base_tree, index, *target.tree);
  const Bytes program = encode_program(diff.program, index);
  if (program.size() > limits::kPathProgramBytesMax)
    return fail(ErrorCode::kLimit, "the changed paths of a release are over the limit");
  const ContentLayout layout = layout_of(diff.program, index);

  const EncodingTier encoding_tier(options.level,
                                   options.keep_going ? &options.keep_going : nullptr);
  Bytes out(1, kFormatVersion);
  NOTP_TRY(put_envelope_section(out, target.envelope,
                                base ? base->envelope : trust::ReleaseEnvelope(), encoding_tier));
  NOTP_TRY(put_section(out, SectionKind::kProgram, program, {}, encoding_tier));
  NOTP_TRY(encode_contents(out, diff, layout, base, target, encoding_tier));
  put_end(out);
  out.shrink_to_fit();
  return out;
}

Result<trust::ReleaseEnvelope> read_envelope(ByteView artifact,
                                             const trust::ReleaseEnvelope& base_envelope) {
  NOTP_TRY(take_version(artifact));
  NOTP_ASSIGN(const Section section, take_kind(artifact, SectionKind::kEnvelope));
  return decode_envelope_section(section, base_envelope);
}

Result<AppliedArtifact> apply_artifact(ByteView artifact, const ReleaseContent* base,
                                       const ApplyLimits& limits) {
  NOTP_ASSIGN(const Sections sections, split(artifact, limits.file_count));
  const BaseIndex index(base ? base->tree : nullptr);
  NOTP_ASSIGN(const Program program, decode_program(sections.program, index, limits));
  NOTP_ASSIGN(Outline outline, run_program(program, index, limits));
  const ContentLayout layout = layout_of(program, index);
  NOTP_TRY(match(sections, layout));
  NOTP_ASSIGN(Decoded decoded, decode_contents(sections, layout, base));

  model::Files files;
  for (auto& [path, slot] : outline) {
    if (slot.content != Slot::kFromBase) slot.entry.hash = decoded.hashes[slot.content];
    files.emplace_hint(files.end(), path, slot.entry);
  }
  auto tree = model::Tree::make(std::move(files));
  if (!tree)
    return fail(ErrorCode::kArtifact, "an artifact makes no model: " + tree.error().message);
  return AppliedArtifact{std::make_shared<const model::Tree>(*std::move(tree)),
                         std::move(decoded.blobs)};
}

}  // namespace notp::delta
