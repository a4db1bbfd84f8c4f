#include "tools/notp/publish/publish_base.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/notp/query/query_session.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kReleasesMax = 10'000;  // limit of the search for a rollback
constexpr uint32_t kUndoneMax = 20;

constexpr std::string_view kUnshallow =
    "'git fetch --unshallow' brings the history; a workflow's checkout step needs 'fetch-depth: 0'";

// Why Git does not know what the folder started from.
struct Unknown {
  std::string why;
  std::string instead;  // replaces the common hint
  std::string first;    // to be tried before the hint
};

std::string short_id(const std::string& commit) { return printable(commit.substr(0, 12)); }

std::expected<std::string, Unknown> unknown(std::string why, std::string instead = {}) {
  return std::unexpected(Unknown{std::move(why), std::move(instead), {}});
}

std::expected<std::string, Unknown> unknown(const Error& error) {
  return unknown("Git's history cannot be read: " + error.message);
}

// Finds the commit from which the head was made by the commit named in its statement.
std::expected<std::string, Unknown> by_commit(GitCheckout& checkout, uint64_t version,
                                              const std::string& commit) {
  const auto contains = checkout.contains(commit);
  if (!contains) return unknown(contains.error());
  if (*contains) return commit;
  return unknown(
      fmt::format("v{} was published from the commit {}, and what is checked out ({}) does not "
                  "come from it",
                  version, short_id(commit), short_id(checkout.head())),
      "merge that commit, or rebase onto it, and publish again");
}

// Finds it by content, for a head whose statement names no commit.
std::expected<std::string, Unknown> by_content(FolderBase& base, const trust::Release& head,
                                               ReleaseSource& source) {
  const auto rows = ask_history(source.client(), source.ledger(), kReleasesMax);
  if (!rows) return unknown("the ledger's history is not known: " + rows.error().message);
  std::vector<Hash> roots{head.content_root};
  std::map<Hash, uint64_t> versions;
  for (const wire::HistoryRow& row : *rows) {
    if (row.version >= head.version) continue;
    roots.push_back(row.content_root);
    if (row.content_root != head.content_root) versions.try_emplace(row.content_root, row.version);
  }
  if (is_rollback(roots))
    return unknown(
        fmt::format("v{} takes the ledger back to what it had before, and no commit "
                    "says that this folder knows of it",
                    head.version));
  GitCheckout& checkout = *base.checkout;
  const auto commits = checkout.commits(kGitCommitsMax);
  if (!commits) return unknown(commits.error());
  std::set<Hash> others;
  for (const auto& [root, version] : versions) others.insert(root);
  const auto origin = find_origin(
      *commits, [&](const std::string& commit) { return checkout.content_root(commit); },
      head.content_root, others);
  if (!origin) return unknown(origin.error());
  if (!origin->commit.empty()) return origin->commit;
  if (!origin->later.empty())
    return unknown(
        fmt::format("the commit {} has the content of v{}, but a commit after the one "
                    "with the content of the head v{}",
                    short_id(origin->later), versions.at(origin->later_root), head.version));
  Unknown none{.why = fmt::format("none of the newest {} in this checkout's history has the "
                                  "content of v{}",
                                  counted(commits->size(), "commit"), head.version),
               .instead = {},
               .first = {}};
  if (commits->size() < kGitCommitsMax)
    none.first = fmt::format("'git pull' when v{} is in the upstream's history", head.version);
  return std::unexpected(std::move(none));
}

std::expected<std::string, Unknown> by_git(FolderBase& base, const trust::Release& head,
                                           ReleaseSource& source) {
  if (base.git_error) return unknown(base.git_error->message);
  if (!base.checkout) return unknown("the folder lies in no Git checkout");
  if (base.commit.empty())
    return unknown("the commit that is checked out does not have the folder");
  if (base.checkout->is_shallow())
    return unknown("this Git clone is shallow, so that its history ends too early",
                   std::string(kUnshallow));
  if (const auto commit = source_commit(head))
    return by_commit(*base.checkout, head.version, *commit);
  return by_content(base, head, source);
}

// Reads who published the head from the registry's list.
Result<std::string> head_author(const Context& context, ReleaseSource& source) {
  NOTP_ASSIGN(const auto rows, ask_history(source.client(), source.ledger(), 1));
  if (rows.empty()) return std::string();
  return who_and_when(rows[0].publisher, rows[0].issued_ms, context.now.wall_ms);
}

Result<void> require_version(const Context& context, uint64_t expected, const ReleaseDraft& draft,
                             ReleaseSource& source) {
  const uint64_t version = draft.head ? draft.head->release().version : 0;
  if (version == expected) return {};
  std::string who;
  if (draft.head) {
    NOTP_ASSIGN(who, head_author(context, source));
  }
  return std::unexpected(head_moved(draft.ledger, expected, version, who));
}

Error base_unknown(const ReleaseDraft& draft, const std::string& who, const Unknown& unknown,
                   const std::vector<std::string>& notes) {
  const std::string ledger = draft.ledger.text();
  const uint64_t version = draft.head->release().version;
  const std::string common = fmt::format(
      "'notp plan' shows what a publish would take away; --base v{} says that the "
      "folder has all of v{}, 'notp clone {}' starts from it anew, --onto-head "
      "publishes over it",
      version, version, ledger);
  const std::string hint = !unknown.instead.empty() ? unknown.instead
                           : unknown.first.empty()  ? common
                                                    : unknown.first + "; else " + common;
  Error error{
      ErrorCode::kConflict,
      fmt::format("nothing says that this folder started from the head of {}, v{}{}: {}", ledger,
                  version, who.empty() ? "" : fmt::format(" ({})", who), unknown.why),
      {{"hint", hint}}};
  if (!notes.empty()) error.context.emplace_back("note", fmt::format("{}", fmt::join(notes, "; ")));
  return error;
}

// Decides whether an existing state file counts.
Result<void> judge_state(FolderBase& base, const fs::path& file) {
  const auto ignore = [&](std::string why) {
    base.state.reset();
    base.notes.push_back(fmt::format("warning: {} is ignored: {}", file.string(), why));
  };
  if (base.git_error) {
    ignore("Git cannot say whether it tracks the file: " + base.git_error->message);
    return {};
  }
  if (!base.checkout || !base.state || base.state->commit.empty() || base.commit.empty()) return {};
  NOTP_ASSIGN(const bool contains, base.checkout->contains(base.state->commit));
  if (!contains)
    ignore(
        fmt::format("it was written at the commit {}, and what is checked out ({}) does not "
                    "come from that",
                    short_id(base.state->commit), short_id(base.commit)));
  return {};
}

}  // namespace

std::optional<std::string> source_commit(const trust::Release& release) {
  if (!release.source) return std::nullopt;
  return release.source->commit;
}

bool is_rollback(const std::vector<Hash>& content_roots) {
  if (content_roots.empty()) return false;
  const Hash& head = content_roots.front();
  const auto other = std::ranges::find_if(content_roots, [&](const Hash& r) { return r != head; });
  return std::find(other, content_roots.end(), head) != content_roots.end();
}

// Starts with the newest, so that few contents are read in most checkouts.
Result<GitOrigin> find_origin(const std::vector<GitCommit>& commits, const CommitContent& content,
                              const Hash& head_root, const std::set<Hash>& other_roots) {
  struct Later {
    std::string commit;
    Hash root;
  };
  GitOrigin out;
  std::map<std::string, Later> after;  // ancestors of one with another release's content
  for (const GitCommit& commit : commits) {
    NOTP_ASSIGN(const std::optional<Hash> root, content(commit.id));
    std::optional<Later> later;
    if (const auto known = after.find(commit.id); known != after.end()) later = known->second;
    if (root == head_root && !later) return GitOrigin{commit.id, {}, {}};
    if (root == head_root && out.later.empty()) out = {{}, later->commit, later->root};
    if (!later && root && other_roots.contains(*root)) later = Later{commit.id, *root};
    if (!later) continue;
    for (const std::string& parent : commit.parents) after.try_emplace(parent, *later);
  }
  return out;
}

std::optional<trust::Source> clean_source(FolderBase& base, const Hash& content_root) {
  if (!base.checkout || base.commit.empty()) return std::nullopt;
  const auto committed = base.checkout->content_root(base.commit);
  if (!committed || *committed != content_root) return std::nullopt;
  return trust::Source{.repository = {}, .ref = {}, .commit = base.commit, .signer = {}};
}

Result<FolderBase> load_base(const fs::path& folder, const Environment& environment,
                             const std::string& trust_domain, const model::LedgerId& ledger) {
  FolderBase base;
  auto checkout = GitCheckout::find(folder, environment);
  if (!checkout) base.git_error = checkout.error();
  if (checkout) base.checkout = *std::move(checkout);
  if (base.checkout) {
    NOTP_ASSIGN(const bool has_folder, base.checkout->has_folder());
    if (has_folder) base.commit = base.checkout->head();
  }
  std::error_code error;
  const fs::path file = state_path(folder);
  if (!fs::exists(file, error)) return base;
  if (base.checkout) {
    NOTP_ASSIGN(const bool is_tracked, base.checkout->tracks(kStateFile));
    if (is_tracked) {
      base.notes.push_back(fmt::format(
          "warning: {0} is ignored: Git tracks it, and so it says what another folder started "
          "from; 'git rm --cached {1}' in {2} takes it out",
          file.string(), kStateFile, folder.string()));
      return base;
    }
  }
  NOTP_ASSIGN(base.state, load_state(folder, trust_domain, ledger));
  NOTP_TRY(judge_state(base, file));
  return base;
}

Result<void> check_same_release(const FolderBase& base, const ReleaseDraft& draft) {
  const PulledReleasePtr& head = draft.head;
  if (!head || !base.state || base.state->version != head->release().version ||
      base.state->release_hash == head->verified.ref.release_hash)
    return {};
  return fail(ErrorCode::kEquivocation,
              fmt::format("v{} of {} is not the release that this folder started from",
                          base.state->version, draft.ledger.text()));
}

Result<void> require_base(const Context& context, FolderBase& base, std::optional<uint64_t> said,
                          const ReleaseDraft& draft, ReleaseSource& source) {
  if (said) return require_version(context, *said, draft, source);
  const PulledReleasePtr& head = draft.head;
  if (!head) return require_version(context, base.state ? base.state->version : 0, draft, source);
  const trust::Release& release = head->release();
  NOTP_TRY(check_same_release(base, draft));
  if (base.state && base.state->version == release.version) return {};
  // A folder updated by Git may have no note of it.
  const auto commit = by_git(base, release, source);
  if (commit) {
    context.output.note(fmt::format("the head v{} is in this folder's history: commit {}",
                                    release.version, short_id(*commit)));
    return {};
  }
  if (base.state) return require_version(context, base.state->version, draft, source);
  NOTP_ASSIGN(const std::string who, head_author(context, source));
  return std::unexpected(
      base_unknown(draft, who, commit.error(),
                   context.output.is_json() ? base.notes : std::vector<std::string>()));
}

Result<std::vector<std::string>> undone_releases(const Context& context, const FolderBase& base,
                                                 ReleaseSource& source) {
  NOTP_ASSIGN(const auto rows,
              ask_history(source.client(), source.ledger(), base.state ? kUndoneMax : 1));
  std::vector<std::string> lines;
  for (const wire::HistoryRow& row : rows) {
    if (base.state && row.version <= base.state->version) break;
    const std::string who = who_and_when(row.publisher, row.issued_ms, context.now.wall_ms);
    std::string line = fmt::format("v{}", row.version);
    if (!who.empty()) line += " " + who;
    if (!row.message.empty()) line += ": " + first_line(row.message);
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace notp::cli
