// Writes a release, or its withdrawal, into a ledger's repository.
#pragma once

#include <optional>

#include "notp-server/registry/git_blob_index.hpp"
#include "notp-server/registry/git_large_blobs.hpp"
#include "notp-server/registry/git_repository.hpp"
#include "notp-server/registry/git_text.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp::registry {

// Writes one pack for each large document that is a change of one in `previous` (the content of the
// previous release, as far as it is in memory), one with the other new objects, then the tag, then
// moves main from `parent` (nullopt: the first release): main is the commit point. Returns the
// commit. After a crash or an error before it, main is unchanged; a retry writes the objects and
// the tag again, under the same names. `trees` are the folders of the previous release, as far as
// they are known, and of this one when it is written. `release.message` is as from
// stored_message(). kIo, kCorrupt.
//
// With `previous` no pack is opened for small content, so the time does not grow with the history.
// Content that only an older release has is written again.
Result<GitId> write_release(const OpenRepository& repository, const NewRelease& release,
                            const std::optional<GitId>& parent, const model::ModelContent* previous,
                            GitBlobIndex& known, GitIds& trees, GitLargeBlobs& large);

// Writes one pack with the tag object, then names it withdrawn/v<version>: the name is the commit
// point. kIo, kCorrupt.
Result<void> write_withdrawal(const OpenRepository& repository, const ReleaseInfo& release,
                              const Withdrawal& withdrawal, TimeMs now_ms);

}  // namespace notp::registry
