#include "notp-client/agent/core/give_back.hpp"

#include <fmt/format.h>

#include <memory>

#include "common/limits.hpp"
#include "protocol/delta/artifact.hpp"

namespace notp::agent {
namespace {

// The processor of a node is for its decisions.
constexpr int kLevel = 3;

Result<model::TreePtr> tree_of(const ReturnedRelease& release, const ReturnContents& contents) {
  NOTP_ASSIGN(model::TreePtr tree, contents.tree(release.ref.ledger, release.ref.version));
  if (tree->content_root() != release.ref.content_root)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} v{}: the stored file list is of another release",
                            release.ref.ledger.text(), release.ref.version));
  return tree;
}

Result<Bytes> encode(const ReturnJob& job, const ReturnContents& contents, bool from_base,
                     const KeepGoing& keep_going) {
  NOTP_ASSIGN(const model::TreePtr tree, tree_of(job.release, contents));
  const delta::ReleaseContent target{job.release.envelope, tree.get(), contents.blob};
  const delta::EncodeOptions options{.level = kLevel, .keep_going = keep_going};
  if (!from_base) return delta::encode_artifact(nullptr, target, options);
  NOTP_ASSIGN(const model::TreePtr base_tree, tree_of(*job.base, contents));
  const delta::ReleaseContent base{job.base->envelope, base_tree.get(), contents.blob};
  return delta::encode_artifact(&base, target, options);
}

}  // namespace

Result<ReturnedArtifact> make_return(const ReturnJob& job, const ReturnContents& contents,
                                     const KeepGoing& keep_going) {
  bool from_base = job.base.has_value();
  Result<Bytes> bytes = encode(job, contents, from_base, keep_going);
  if (!bytes && from_base && bytes.error().code != ErrorCode::kCancelled) {
    from_base = false;
    bytes = encode(job, contents, from_base, keep_going);
  }
  if (!bytes) return std::unexpected(std::move(bytes).error());
  if (bytes->size() > limits::kArtifactBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("{} v{} makes an artifact of {} bytes; at most {} are taken",
                            job.release.ref.ledger.text(), job.release.ref.version, bytes->size(),
                            limits::kArtifactBytesMax));
  ReturnedArtifact out{.base = {}, .bytes = std::make_shared<const Bytes>(*std::move(bytes))};
  if (from_base) out.base = wire::Base{job.base->ref.version, job.base->ref.content_root};
  return out;
}

}  // namespace notp::agent
