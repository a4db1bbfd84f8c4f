#include "protocol/serve/partial_artifacts.hpp"

#include <algorithm>

#include "protocol/session/server/artifact_base.hpp"

namespace notp::serve {
namespace {

// A leaf index costs a SHA-256 and some 16 bytes a file.
constexpr size_t kIndexesKept = 64;

bool has(const model::Tree& tree, const Hash& content) {
  return std::ranges::any_of(tree.files(),
                             [&](const auto& file) { return file.second.hash == content; });
}

}  // namespace

delta::LeafIndexPtr PartialArtifacts::index_of(const model::TreePtr& tree) {
  const MutexLock lock(mutex_);
  const auto kept = std::ranges::find_if(indexes_, [&](const delta::LeafIndexPtr& index) {
    return index->tree()->content_root() == tree->content_root();
  });
  if (kept != indexes_.end()) {
    indexes_.splice(indexes_.begin(), indexes_, kept);
  } else {
    indexes_.push_front(std::make_shared<const delta::LeafIndex>(tree));
    if (indexes_.size() > kIndexesKept) indexes_.pop_back();
  }
  return indexes_.front();
}

std::vector<delta::LeafIndexPtr> PartialArtifacts::indexes(const model::LedgerId& ledger,
                                                           const delta::HeldReleasePtr& target) {
  std::vector<delta::LeafIndexPtr> out = {index_of(target->content.tree)};
  for (const auto& [version, tree] : releases_.recent_trees(ledger))
    if (version != target->release.version) out.push_back(index_of(tree));
  return out;
}

Result<std::optional<session::PreparedArtifact>> PartialArtifacts::make(
    const session::server_event::ArtifactNeeded& need, const delta::HeldReleasePtr& base,
    const delta::HeldReleasePtr& target) {
  NOTP_ASSIGN(const auto from, session::artifact_base(need, base ? base->ref.release_hash : Hash{},
                                                      base ? base->content.tree : nullptr,
                                                      indexes(need.ledger, target)));
  if (!from) return std::nullopt;
  ArtifactPtr artifact;
  if (!from->partial) {
    NOTP_ASSIGN(artifact, artifacts_.get(from->tree ? base : nullptr, target, need.resume));
  } else {
    const model::BlobLoader load = [&](const Hash& content) -> Result<model::Content> {
      for (const delta::HeldReleasePtr& near : {target, base})
        if (near && near->content.blobs.contains(content)) return near->content.blobs.at(content);
      for (const auto& [version, tree] : releases_.recent_trees(need.ledger)) {
        if (!has(*tree, content)) continue;
        NOTP_ASSIGN(const delta::HeldReleasePtr older, releases_.release(need.ledger, version));
        return older->content.blobs.at(content);
      }
      return fail(ErrorCode::kNotFound, "content " + content.brief() + " is in no recent release");
    };
    const delta::ReleaseContent part{{}, from->tree.get(), load};
    NOTP_ASSIGN(artifact, artifacts_.get(part, target));
  }
  return session::PreparedArtifact{.id = artifact->id,
                                   .encoding_tier = artifact->encoding_tier,
                                   .bytes = model::Content(artifact, &artifact->bytes),
                                   .partial = from->partial};
}

}  // namespace notp::serve
