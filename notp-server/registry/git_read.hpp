// Reads releases from a ledger's repository, and checks each against what was signed.
#pragma once

#include <vector>

#include "notp-server/registry/git_blob_index.hpp"
#include "notp-server/registry/git_repository.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp::registry {

// The releases up to the head, in order. Versions between them are missing where releases were lost
// and not recovered. One tag above the head is left by a crash before main was moved: it is not
// part of the history.
struct StoredHistory {
  std::vector<ReleaseInfo> releases;
  uint64_t unfinished_version = 0;  // of the tag that main does not include; 0: none
};

// kCorrupt, naming the repository and the mismatch: tags missing of commits that lead to main, or
// present above it, a tag whose envelope is of another ledger, version or content than its commit
// states, a commit whose parent is not the previous release, a withdrawal of another release than
// the tagged one.
Result<StoredHistory> read_history(const OpenRepository& repository, const model::LedgerId& ledger);

// Returns the content of one release. Blobs that `known` still finds in memory are shared, others
// are read and added to it. kCorrupt when the content does not match the release's content root.
Result<model::ModelContent> read_content(const OpenRepository& repository,
                                         const ReleaseInfo& release, GitBlobIndex& known);

}  // namespace notp::registry
