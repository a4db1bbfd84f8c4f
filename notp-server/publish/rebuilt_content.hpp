// The content that an artifact makes of its base, as far as the signed release agrees.
#pragma once

#include "notp-server/registry/registry.hpp"

namespace notp::publish {

// `base` is the release that the artifact starts from; null: full content. `release` is verified.
// kArtifact: the bytes are malformed, of another base, or exceed the signed sizes; kContentRoot:
// the content is not the signed one. Takes as much memory as the content.
Result<model::ModelContent> rebuild_content(ByteView artifact, const registry::SnapshotPtr& base,
                                            const trust::Release& release);

}  // namespace notp::publish
