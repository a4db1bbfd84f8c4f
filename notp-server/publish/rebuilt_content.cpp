#include "notp-server/publish/rebuilt_content.hpp"

#include <fmt/format.h>

#include <optional>

#include "protocol/delta/artifact.hpp"

namespace notp::publish {

Result<model::ModelContent> rebuild_content(ByteView artifact, const registry::SnapshotPtr& base,
                                            const trust::Release& release) {
  std::optional<delta::ReleaseContent> side;
  if (base) side = base->side();
  NOTP_ASSIGN(delta::AppliedArtifact applied,
              delta::apply_artifact(artifact, side ? &*side : nullptr,
                                    {release.total_bytes, release.file_count}));
  if (applied.tree->content_root() != release.content_root ||
      applied.tree->total_bytes() != release.total_bytes ||
      applied.tree->files().size() != release.file_count)
    return fail(ErrorCode::kContentRoot,
                fmt::format("{} v{}: the content sent is not the content signed",
                            release.ledger.text(), release.version));
  model::ModelContent content{std::move(applied.tree), std::move(applied.new_blobs)};
  for (const auto& [path, file] : content.tree->files()) {
    if (content.blobs.contains(file.hash)) continue;
    if (!base) return fail(ErrorCode::kArtifact, path + " came without its content");
    content.blobs[file.hash] = base->content.blobs.at(file.hash);
  }
  return content;
}

}  // namespace notp::publish
