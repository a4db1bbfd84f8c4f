#include "protocol/session/server/artifact_base.hpp"

namespace notp::session {
namespace {

ArtifactBase part_of(model::TreePtr tree, Bytes excluded_leaves) {
  if (tree->files().empty()) return {};
  const Hash root = tree->content_root();
  return {root, std::move(tree), wire::PartialBase{root, std::move(excluded_leaves)}};
}

}  // namespace

Result<std::optional<ArtifactBase>> artifact_base(const server_event::ArtifactNeeded& need,
                                                  const Hash& base_hash, const model::TreePtr& base,
                                                  std::span<const delta::LeafIndexPtr> own) {
  if (need.inventory) {
    NOTP_ASSIGN(std::optional<delta::CommonBase> common, delta::find_common(*need.inventory, own));
    if (!common) return std::nullopt;
    return part_of(std::move(common->tree), std::move(common->excluded_leaves));
  }
  if (base == nullptr || need.missing_blobs.empty()) return ArtifactBase{base_hash, base, {}};
  NOTP_ASSIGN(model::Tree left, delta::partial_base(*base, need.missing_blobs, {}));
  if (left.files().size() == base->files().size()) return ArtifactBase{base_hash, base, {}};
  return part_of(std::make_shared<const model::Tree>(std::move(left)), {});
}

}  // namespace notp::session
