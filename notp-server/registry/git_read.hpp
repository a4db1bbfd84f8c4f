// Releases read back from a ledger's repository, each checked against what was signed.
#pragma once

#include <vector>

#include "notp-server/registry/git_blob_index.hpp"
#include "notp-server/registry/git_repository.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp {

// Versions 1 to the head, in order. A tag one above the head is what a crash left before main was
// moved: it is not part of the history.
struct StoredHistory {
  std::vector<ReleaseInfo> releases;
  bool unfinished_tag = false;  // v<releases.size() + 1> stands without main
};

// kCorrupt, naming the repository and what disagrees: tags missing below the head or standing above
// it, a tag whose envelope is of another ledger, version or content than its commit says, a commit
// whose parent is not the release before, a withdrawal that is not of the release it stands at.
Result<StoredHistory> read_history(const OpenRepository& repository, const LedgerId& ledger);

// The content of one release. Blobs that `known` still finds in memory are shared, others read and
// added to it. kCorrupt when the content is not what the release's content root says.
Result<ModelContent> read_content(const OpenRepository& repository, const ReleaseInfo& release,
                                  GitBlobIndex& known);

}  // namespace notp
