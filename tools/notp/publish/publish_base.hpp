// Determines which release the files of a folder started from. A publish onto a head that the
// folder did not start from would undo the releases in between, so it is refused.
//
// The base comes from the caller, from .notp/state.json, or from Git: protocol/session/README.md,
// "The base of a publish".
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/notp/git/git_checkout.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {

// --- the rule; no I/O of its own

// Returns the commit that the release names as its source; nullopt: it names none.
std::optional<std::string> source_commit(const trust::Release& release);

// The head has the content of an earlier release, with a different one in between. `content_roots`:
// of the ledger's releases, the head's first.
bool is_rollback(const std::vector<Hash>& content_roots);

struct GitOrigin {
  std::string commit;  // has the head's content; empty: no commit that counts
  std::string later;   // a descendant with the content of `later_root`, which disqualifies it
  Hash later_root;
};
using CommitContent = std::function<Result<std::optional<Hash>>(const std::string& commit)>;
// Finds the head's content among the commits (GitCheckout::commits()). A commit does not count when
// one of its descendants has the content of another release: that one was published later, so the
// checkout does not come from the head with the older content.
Result<GitOrigin> find_origin(const std::vector<GitCommit>& commits, const CommitContent& content,
                              const Hash& head_root, const std::set<Hash>& other_roots);

// --- a folder

struct FolderBase {
  std::optional<GitCheckout> checkout;
  std::optional<Error> git_error;       // why it is unknown whether there is a checkout
  std::optional<WorkspaceState> state;  // only if it counts
  std::string commit;  // checked out, with this folder in it; empty: Git does not track it
  std::vector<std::string> notes;  // for the user: what is ignored, and why
};
// Ignores a state file that Git tracks, or that was written at a commit outside the history of the
// one that is checked out. kCorrupt, kIo.
Result<FolderBase> load_base(const std::filesystem::path& folder, const Environment& environment,
                             const std::string& trust_domain, const model::LedgerId& ledger);

// Returns the commit that is checked out when it has exactly these files, as the release's source;
// nullopt: it has others, or Git does not know.
std::optional<trust::Source> clean_source(FolderBase& base, const Hash& content_root);

// kEquivocation when the head is another release of the version that the folder started from.
Result<void> check_same_release(const FolderBase& base, const ReleaseDraft& draft);

// Succeeds when the draft's head is the release that the folder started from, by `said` of the
// caller or by the folder's state. kConflict with what to do; kEquivocation.
Result<void> require_base(const Context& context, FolderBase& base, std::optional<uint64_t> said,
                          const ReleaseDraft& draft, ReleaseSource& source);

// Returns the releases that a publish onto the head undoes where the folder differs, as "v7 by …:
// message": those above the folder's noted base, or the head alone when there is none.
Result<std::vector<std::string>> undone_releases(const Context& context, const FolderBase& base,
                                                 ReleaseSource& source);

}  // namespace notp::cli
