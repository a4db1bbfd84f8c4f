// Which release the files of a folder started from. A publish onto a head that the folder did not
// start from would undo what came between, and so it is refused.
//
// The base is what the caller says, or what this machine noted in .notp/state.json, or what Git
// knows: protocol/session/README.md, "The base of a publish".
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

// The commit that the release says it was made from; nullopt: it names none.
std::optional<std::string> source_commit(const Release& release);

// The head has the content of a release before it, and another one was in between. `content_roots`:
// of the ledger's releases, the head's first.
bool is_rollback(const std::vector<Hash>& content_roots);

struct GitOrigin {
  std::string commit;  // where the head's content is; empty: nowhere that counts
  std::string later;  // the commit after it that has the content of `later_root`, and so it is none
  Hash later_root;
};
using CommitContent = std::function<Result<std::optional<Hash>>(const std::string& commit)>;
// Finds the head's content among the commits (GitCheckout::commits()). A commit does not count when
// one of those that come from it has the content of another release: that was published later, and
// the head with the older content is not what the checkout comes from.
Result<GitOrigin> find_origin(const std::vector<GitCommit>& commits, const CommitContent& content,
                              const Hash& head_root, const std::set<Hash>& other_roots);

// --- a folder

struct FolderBase {
  std::optional<GitCheckout> checkout;
  std::optional<Error> git_error;       // why nobody knows whether there is a checkout
  std::optional<WorkspaceState> state;  // one that counts
  std::string commit;  // checked out, with this folder in it; empty: Git does not know the folder
  std::vector<std::string> notes;  // for the person: what is ignored, and why
};
// A state file that Git tracks, or that was written at a commit that is not in the history of the
// one that is checked out, says nothing about these files. kCorrupt, kIo.
Result<FolderBase> load_base(const std::filesystem::path& folder, const Environment& environment,
                             const std::string& trust_domain, const LedgerId& ledger);

// The commit that is checked out, when it has exactly these files: what the release will say of
// where it comes from. nullopt: it has others, or Git does not say.
std::optional<Source> clean_source(FolderBase& base, const Hash& content_root);

// kEquivocation when the head is another release of the version that the folder started from.
Result<void> check_same_release(const FolderBase& base, const ReleaseDraft& draft);

// Nothing when the head of the proposal is what the folder started from: `said` by the caller, or
// by what is known of the folder. kConflict with what to do; kEquivocation.
Result<void> require_base(const Context& context, FolderBase& base, std::optional<uint64_t> said,
                          const ReleaseDraft& draft, ReleaseSource& source);

// The releases that a publish onto the head undoes where the folder differs: "v7 by …: message".
// Those above the folder's noted base; the head alone when there is none.
Result<std::vector<std::string>> undone_releases(const Context& context, const FolderBase& base,
                                                 ReleaseSource& source);

}  // namespace notp::cli
