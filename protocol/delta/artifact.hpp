// Artifacts: how a release travels. An artifact turns the release a receiver holds (or nothing)
// into another one. It is immutable, computed once for a pair of releases and streamed to all.
//
//   artifact := format version (1 byte: 1) ‖ section*
//   section  := kind (1 byte) ‖ raw length (varint) ‖ coded length (varint) ‖ coded bytes
//
// in the order ENVELOPE, PROGRAM, SOLID, BLOB*, END. protocol/README.md has the layout of each.
#pragma once

#include <memory>

#include "common/digest.hpp"
#include "protocol/model/tree.hpp"

namespace notp {

inline constexpr uint64_t kCodecVersion = 1;

// H("notp.artifact.v1\0" ‖ base release hash (zero for full content) ‖ target release hash ‖ codec
// version as varint): known before the bytes are.
Hash artifact_id(const Hash& base_release, const Hash& target_release);

// One side of an artifact: a release's envelope, tree and content.
struct ReleaseContent {
  ByteView envelope;  // verbatim, signed
  const Tree* tree = nullptr;
  BlobLoader load;
};

struct EncodeOptions {
  int level =
      6;  // zstd; publishers wait, so fast by default; the registry recompresses in the background
};

// `base` may be null: full content. Deterministic for equal inputs and options.
Result<Bytes> encode_artifact(const ReleaseContent* base, const ReleaseContent& target,
                              const EncodeOptions& options = {});

// The signed envelope inside, so that it can be verified before any content is decoded. Needs only
// the front of the artifact: kArtifact with "cut short" when `artifact` does not reach its end.
Result<Bytes> read_envelope(ByteView artifact, ByteView base_envelope);

// What the signed statement allows the rest of the artifact to become.
struct ApplyLimits {
  uint64_t total_bytes = 0;
  uint64_t file_count = 0;
};

struct AppliedArtifact {
  TreePtr tree;
  BlobMap new_blobs;  // content that the base does not have, by blob hash
};

// Rebuilds the target. kArtifact when the bytes are malformed, refer to what the base does not
// have, or would pass `limits`; errors of base->load pass through. The caller compares
// tree->content_root() with the signed one: nothing here is trusted.
Result<AppliedArtifact> apply_artifact(ByteView artifact, const ReleaseContent* base,
                                       const ApplyLimits& limits);

}  // namespace notp
