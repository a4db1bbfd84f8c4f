// Artifacts: the form in which releases travel. An artifact turns the release that a receiver holds
// (or nothing) into another one. It is immutable, computed once for a pair of releases and streamed
// to every receiver.
//
// Numbers are unsigned LEB128 varints in their shortest form. Any malformed part is refused as
// kArtifact. Nothing in an artifact is trusted: the content root of the outcome is signed.
//
//   artifact := format version (1 byte: 1) ‖ section* ‖ END
//   section  := first byte ‖ raw length ‖ coded length ‖ coded bytes
//   END      := 0x05, the last byte of the artifact
//
// The low half of the first byte is the kind, the high half the coding. Kinds, in this order: 1
// ENVELOPE (once), 2 PROGRAM (once), 3 SOLID (any number), 4 BLOB (any number). Codings: 0 raw; 1
// zstd, one frame without dictionary that announces its content size; 2 zstd, the same with the
// section's reference as prefix (as --patch-from does); 3, for BLOB only, a delta against the
// reference; 4, for ENVELOPE only, a difference to the reference (envelope_diff.hpp). Codings 2, 3
// and 4 need a reference that is not empty. The coded length equals the raw length in coding 0 and
// is below it in the others. The raw length is limited by kind: kEnvelopeBytesMax,
// kPathProgramBytesMax, kSolidBytesMax, kBlobBytesMax.
//
// A delta keeps the first `front` and the last `end` bytes of the reference; together they do not
// exceed the reference or the target. When they do not cover the target, four streams make the
// middle, in which literal bytes and copies from anywhere in the reference alternate.
//
//   delta  := front ‖ end ‖ [lengths ‖ gaps ‖ offsets ‖ literals]    unless the middle is empty
//   stream := raw length * 2 + compressed ‖ [coded length] ‖ bytes
//     lengths   one varint for each copy: its bytes, less 8
//     gaps      one varint for each copy: the literal bytes in front of it
//     offsets   one varint for each copy: where it is from. With s where the copy before it
//               ended in the reference (at first: front) and g its gap: 0 is s + g, 1 is s, and
//               2 + d is s + g + the distance d in zigzag form
//     literals  exactly those of all gaps and those after the last copy
//
// No stream has more raw bytes than the middle. A compressed stream has its coded length, which is
// below the raw one, and is one zstd frame as above. The streams of numbers need a window of at
// most 2^kDeltaWindowLogMax bytes; the stream of literals has a prefix of old bytes near the gaps.
// With n copies and L literal bytes, w = min(131072, 64 * L) / (n + 2), rounded down, the prefix is
// the first w of the reference's last `end` bytes, then for each copy the w bytes of the reference
// up to its end, then the w bytes up to `front`; each cut to the bytes that exist.
//
// ENVELOPE is the target's signed envelope; its reference is the base's.
//
// PROGRAM lists the files that stay, go, move or change. It has no reference. It names files and
// folders of the base by their index in byte order of paths, from 0; folders are the root "" and
// every folder that holds a file. An empty program means that the target has the files of the base.
// Otherwise:
//
//   program := mask ‖ group for each set bit of the mask, from bit 0 on
//   group   := count (at least 1) ‖ entries
//     bit 0 modified         file * count, then size-like * count
//     bit 1 added            path * count, then size * count
//     bit 2 removed files    file *
//     bit 3 moved folders    (folder ‖ path) *
//     bit 4 removed folders  folder *
//     bit 5 moved files      (file ‖ path) *
//     bit 6 copied files     (file ‖ path) *
//     bit 7 copied folders   (folder ‖ path) *
//     bit 8 added like       (file ‖ path ‖ size-like) *     resembles a file of the base
//     bit 9 same             (content ‖ path) *              content of this artifact once more
//   file, folder, content := distance from the index before it in the group, the first from 0; it
//       is not 0 (except for the first) in bits 0, 2, 3, 4 and 5
//   path := anchor ‖ shared ‖ length ‖ suffix (length bytes): the first `shared` bytes of the path
//       before it in the group ("" at first) when anchor is 0, of base file number anchor - 1
//       otherwise, then the suffix; at most kPathBytesMax in all
//   size := bytes, at most kBlobBytesMax
//   size-like := the difference to the size of the entry's file, as zigzag (0, -1, 1, -2, … as 0,
//       1, 2, 3, …)
//
// The meaning does not depend on the order of groups. Sources are looked up in the unchanged base.
// First the removed files and folders and the sources of moves are removed, then moved and copied
// folders and files are placed, then modified files get their new size and content, then added,
// added-like and same paths are written. Writing an existing path is an error, as is modifying a
// removed one. New contents are numbered through modified, added and added like, in the order of
// their entries.
//
// The file of a new content is the old version (modified) or the file it resembles (added like). A
// content is solid when neither it nor its file exceeds kSmallFileBytesMax bytes. Solid contents
// are sorted by extension (the text after the last '.' of the last segment, or ""), path and
// number, and filled into SOLID sections in that order; a section is closed before the content with
// which its raw length or its reference would exceed kSolidBytesMax. A SOLID section is the
// concatenation of its contents. Its reference is the concatenation of their files in the same
// order, where an added content stands for its siblings: among the base's files of at most
// kSmallFileBytesMax, sorted by extension and path, the r before the place of the new one and the r
// from that place on, limited to its extension. r is 4 for each solid added content of the artifact
// that has this place, but at least 8 and at most 80. A file whose hash is already in the section's
// reference is left out.
//
// Every other new content is a separate BLOB section, by number; its reference is its file.
#pragma once

#include <memory>

#include "common/crypto/digest.hpp"
#include "common/zstd.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_envelope.hpp"

namespace notp::delta {

inline constexpr uint64_t kCodecVersion = 1;

// H("notp.artifact.v1\0" ‖ base release hash (zero for full content) ‖ target release hash ‖ codec
// version as varint ‖ encoding_tier as varint, unless it is 0): known before the bytes are.
// `encoding_tier` distinguishes encodings of one pair, which have different bytes: 0 is the first
// one, and the sender defines the meaning of higher ones.
Hash artifact_id(const Hash& base_release, const Hash& target_release, uint32_t encoding_tier = 0);

// One side of an artifact: a release's envelope, tree and content. Content is loaded on demand and
// dropped after use.
struct ReleaseContent {
  trust::ReleaseEnvelope envelope;  // verbatim, signed; parsed here unless it is read
  const model::Tree* tree = nullptr;
  model::BlobLoader load;
};

struct EncodeOptions {
  // Level of zstd. Fast by default, because publishers wait; the registry recompresses in the
  // background. Contents of a few hundred KB are always coded at a higher level.
  int level = 6;
  // Called while encoding, often enough to stop within some 100 ms; it may block. Empty: not
  // called.
  KeepGoing keep_going = nullptr;
};

// Encodes `target` against `base`; null: full content. Deterministic for equal inputs, options and
// version of zstd. Errors: those of the loaders; kCorrupt when the size of a content differs from
// its tree; kLimit; kCancelled.
Result<Bytes> encode_artifact(const ReleaseContent* base, const ReleaseContent& target,
                              const EncodeOptions& options = {});

// Reads the signed envelope, so that the caller can verify it before it decodes any content. Needs
// only the front of the artifact: kArtifact with "cut short" when `artifact` does not reach the end
// of the envelope. An envelope that came as a difference is read; any other is not even open.
Result<trust::ReleaseEnvelope> read_envelope(ByteView artifact,
                                             const trust::ReleaseEnvelope& base_envelope);

// Limits of the signed statement on the rest of the artifact.
struct ApplyLimits {
  uint64_t total_bytes = 0;
  uint64_t file_count = 0;
};

struct AppliedArtifact {
  model::TreePtr tree;
  model::BlobMap new_blobs;  // content that the base does not have, by blob hash
};

// Rebuilds the target. kArtifact when the bytes are malformed, refer to files that the base does
// not have, or would exceed `limits`, which is checked before any content is decoded; errors of
// base->load pass through. The caller compares tree->content_root() with the signed one: nothing
// here is trusted, and an artifact for another base may well decode. Memory: limits.total_bytes of
// new content, paths and entries for limits.file_count files, and for one section at a time its
// reference and some 3 MB; for a SOLID section also kSolidBytesMax.
Result<AppliedArtifact> apply_artifact(ByteView artifact, const ReleaseContent* base,
                                       const ApplyLimits& limits);

}  // namespace notp::delta
