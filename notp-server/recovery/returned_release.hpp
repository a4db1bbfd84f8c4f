// A release that a node gave back, on its way into the registry.
#pragma once

#include "notp-server/recovery/held_check.hpp"
#include "notp-server/recovery/lost_releases.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/wire/messages/recovery.hpp"

namespace notp::recovery {

// Verifies it as when it was published: the signatures by a root of the window, that it is the
// release that was asked for, and the content against the signed root and sizes and against what
// its delegation lets it hold. Publisher, message and the place in the ledger are the caller's.
// `base` is the release that the artifact starts from; null: full content. kArtifact, kContentRoot,
// kWrongTarget, and the errors of verify_lost_release(). Takes as much memory as the content.
Result<registry::NewRelease> check_returned(const wire::Return& head, ByteView artifact,
                                            const LostRelease& lost,
                                            const registry::SnapshotPtr& base,
                                            const RootWindow& roots);

}  // namespace notp::recovery
