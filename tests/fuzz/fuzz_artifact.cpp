// Untrusted artifacts. The first byte chooses: with or without a base. Rebuilt content stays within
// the signed limits, and matches its tree.
#include "common/assert.hpp"
#include "common/limits.hpp"
#include "tests/fuzz/artifact_samples.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace notp;
  static const model::ModelContent model = samples::model_of(samples::fuzz_base_texts());
  static const delta::ReleaseContent base = samples::side_of(model, samples::kBaseEnvelope);
  constexpr delta::ApplyLimits kLimits{1 << 18, 200};
  if (size == 0) return 0;
  const bool with_base = data[0] & 1;
  const ByteView artifact(reinterpret_cast<const char*>(data) + 1, size - 1);

  const auto envelope =
      delta::read_envelope(artifact, with_base ? ByteView(samples::kBaseEnvelope) : ByteView());
  NOTP_ASSERT(envelope ? envelope->bytes().size() <= limits::kEnvelopeBytesMax
                       : envelope.error().code == ErrorCode::kArtifact,
              "an envelope over the limit, or a refusal with a foreign code");
  const auto applied = delta::apply_artifact(artifact, with_base ? &base : nullptr, kLimits);
  if (!applied) {
    NOTP_ASSERT(applied.error().code == ErrorCode::kArtifact, "a refusal with a foreign code");
    return 0;
  }
  const model::Tree& tree = *applied->tree;
  NOTP_ASSERT(tree.total_bytes() <= kLimits.total_bytes, "more bytes than signed");
  NOTP_ASSERT(tree.files().size() <= kLimits.file_count, "more files than signed");
  for (const auto& [path, entry] : tree.files()) {
    const auto fresh = applied->new_blobs.find(entry.hash);
    const bool known = with_base && model.blobs.contains(entry.hash);
    NOTP_ASSERT(known || fresh != applied->new_blobs.end(), "a file without content");
    if (fresh != applied->new_blobs.end())
      NOTP_ASSERT(
          fresh->second->size() == entry.bytes && model::blob_hash(*fresh->second) == entry.hash,
          "content that is not what its hash says");
  }
  // Accepted content can be encoded again.
  delta::ReleaseContent out{samples::kTargetEnvelope, &tree,
                            [&](const Hash& hash) -> Result<model::Content> {
                              const auto fresh = applied->new_blobs.find(hash);
                              if (fresh != applied->new_blobs.end()) return fresh->second;
                              return base.load(hash);
                            }};
  const auto again = delta::encode_artifact(&base, out);
  NOTP_ASSERT(again.has_value(), "an accepted model that cannot be encoded");
  const auto twice = delta::apply_artifact(*again, &base, kLimits);
  NOTP_ASSERT(twice && twice->tree->content_root() == tree.content_root(),
              "an accepted model that does not survive its artifact");
  return 0;
}
