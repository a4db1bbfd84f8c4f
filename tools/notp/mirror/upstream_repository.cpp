#include "tools/notp/mirror/upstream_repository.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "common/storage/private_files.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/mirror/upstream_refs.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeads = "refs/heads/", kTags = "refs/tags/";
constexpr std::string_view kFetchedRef = "refs/mirror/tip";  // what was fetched last, complete
constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kPacksMax = 20;  // from so many on they are made one
// git takes it for "all of the history" (its INFINITE_DEPTH). With a depth, a server that has only
// files to offer is refused: git does not check the objects of such a server.
constexpr std::string_view kWholeDepth = "--depth=2147483647";

std::string without_line_end(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string format_of(const std::string& id) { return id.size() == 64 ? "sha256" : "sha1"; }

// The object that the ref itself names.
const std::string& object_of(const UpstreamTip& tip) {
  return tip.tag_object.empty() ? tip.commit : tip.tag_object;
}

Result<void> check_tip(const UpstreamTip& tip) {
  const bool has_ref = tip.ref.starts_with(kHeads) || tip.ref.starts_with(kTags);
  if (has_ref && check_ref_name(tip.ref) && trust::is_commit_id(tip.commit) &&
      (tip.tag_object.empty() || trust::is_commit_id(tip.tag_object)))
    return {};
  return fail(ErrorCode::kUsage, fmt::format("'{}' at '{}' is not a tip of a repository",
                                             printable(tip.ref), printable(tip.commit)));
}

std::unexpected<Error> unreadable(const std::string& commit, const GitAnswer& answer) {
  return fail(ErrorCode::kCorrupt, fmt::format("git cannot read the history of {}: {}",
                                               short_id(commit), shown_error(answer.error, {})));
}

}  // namespace

std::string short_id(const std::string& id) { return id.substr(0, 12); }

Result<UpstreamRepository> UpstreamRepository::open(UpstreamGit git) {
  NOTP_TRY(make_private_folder(git.folder().top));
  NOTP_ASSIGN(FolderLock lock, FolderLock::acquire(git.folder().top));
  UpstreamRepository repository(std::move(git), std::move(lock));
  repository.begin();
  NOTP_TRY(repository.prepare({}));
  return repository;
}

Result<GitAnswer> UpstreamRepository::ask(std::vector<std::string> words) const {
  return git_.ask(std::move(words), deadline_ms_, kAnswerBytesMax);
}

// --- the folder

void UpstreamRepository::wipe() const {
  std::error_code ignored;
  fs::remove_all(git_.folder().repository(), ignored);
}

// As git names them: packs that were arriving, and locks.
void UpstreamRepository::remove_leftovers() const {
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::recursive_directory_iterator at(git_.folder().repository(), error), end;
       !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with("tmp_") || name.starts_with(".tmp-") || name.ends_with(".lock") ||
        name.ends_with(".keep"))
      found.push_back(at->path());
  }
  for (const fs::path& path : found) fs::remove_all(path, error);
  for (const auto& entry : fs::directory_iterator(git_.folder().scratch(), error))
    fs::remove_all(entry.path(), error);
}

Result<std::string> UpstreamRepository::object_format() const {
  NOTP_ASSIGN(const GitAnswer answer, ask({"rev-parse", "--show-object-format"}));
  return answer.status == 0 ? without_line_end(answer.output) : std::string();
}

Result<void> UpstreamRepository::prepare(const std::string& object_format_wanted) {
  const UpstreamFolder& folder = git_.folder();
  for (const fs::path& each : {folder.home(), folder.scratch(), folder.nothing(), folder.keys()})
    NOTP_TRY(make_private_folder(each));
  remove_leftovers();
  NOTP_ASSIGN(const std::string format, object_format());
  if (!format.empty() && (object_format_wanted.empty() || format == object_format_wanted))
    return {};
  wipe();
  const std::string wanted = object_format_wanted.empty() ? "sha1" : object_format_wanted;
  NOTP_ASSIGN(const GitAnswer made,
              ask({"init", "--quiet", "--bare", fmt::format("--object-format={}", wanted)}));
  if (made.status == 0) return {};
  return fail(ErrorCode::kIo,
              fmt::format("git cannot make the repository {}: {}", folder.repository().string(),
                          shown_error(made.error, {})));
}

// --- the server

Result<UpstreamTip> UpstreamRepository::look() const {
  const bool wants_branch = !config().branch.empty();
  NOTP_ASSIGN(const Bytes listed, git_.ask_server({"ls-remote", wants_branch ? "--heads" : "--tags",
                                                   "--quiet", "--", config().repository},
                                                  deadline_ms_, kRefsBytesMax));
  NOTP_ASSIGN(const std::vector<UpstreamRef> refs, parse_refs(listed));
  if (!wants_branch) {
    NOTP_ASSIGN(const UpstreamRef tag, newest_tag(refs, config().tag_pattern));
    if (tag.peeled.empty()) return UpstreamTip{tag.name, tag.id, {}};
    return UpstreamTip{tag.name, tag.peeled, tag.id};
  }
  const auto head =
      std::ranges::find(refs, fmt::format("{}{}", kHeads, config().branch), &UpstreamRef::name);
  if (head != refs.end()) return UpstreamTip{head->name, head->id, {}};
  return fail(ErrorCode::kNotFound,
              fmt::format("{} has no branch '{}'", config().repository, config().branch));
}

Result<void> UpstreamRepository::fetch_once(const UpstreamTip& tip) const {
  std::vector<std::string> words = {"fetch",
                                    "--quiet",
                                    "--force",
                                    "--no-tags",
                                    "--no-recurse-submodules",
                                    "--no-auto-maintenance",
                                    "--no-write-fetch-head",
                                    "--no-write-commit-graph",
                                    "--no-show-forced-updates",
                                    "--refmap="};
  if (git_.address().is_http()) words.emplace_back(kWholeDepth);
  words.insert(words.end(),
               {"--", config().repository, fmt::format("+{}:{}", tip.ref, kFetchedRef)});
  NOTP_TRY(git_.ask_server(std::move(words), deadline_ms_, kAnswerBytesMax));
  if (git_.disk_bytes() > config().disk_bytes_max) return std::unexpected(git_.over_budget());
  std::error_code error;
  if (fs::exists(git_.folder().repository() / "shallow", error)) {
    wipe();
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} is a shallow clone, which lacks a part of the history",
                            config().repository));
  }
  return {};
}

Result<void> UpstreamRepository::check_fetched(const UpstreamTip& tip) const {
  NOTP_ASSIGN(const std::string found, resolve(std::string(kFetchedRef)));
  const std::string& wanted = object_of(tip);
  if (found != wanted)
    return fail(ErrorCode::kConflict, fmt::format("{} moved from {} to {} meanwhile: look again",
                                                  tip.ref, short_id(wanted), short_id(found)));
  NOTP_ASSIGN(const std::string commit, resolve(found + "^{commit}"));
  if (commit == tip.commit) return {};
  return fail(ErrorCode::kSignature,
              fmt::format("{} leads to '{}', and the server said the commit {}", tip.ref,
                          short_id(commit), short_id(tip.commit)));
}

// Only saves space and time: what fails is tried again after a later fetch.
void UpstreamRepository::repack() const {
  std::error_code error;
  size_t packs = 0;
  for (const auto& file :
       fs::directory_iterator(git_.folder().repository() / "objects/pack", error))
    packs += file.path().extension() == ".pack" ? 1 : 0;
  if (packs <= kPacksMax) return;
  if (const auto done = ask({"repack", "-a", "-d", "-q", "-n"}); !done || done->status != 0)
    remove_leftovers();
}

Result<void> UpstreamRepository::fetch(const UpstreamTip& tip) {
  NOTP_TRY(check_tip(tip));
  const std::string& wanted = object_of(tip);
  NOTP_TRY(prepare(format_of(wanted)));
  NOTP_ASSIGN(const std::string before, resolve(std::string(kFetchedRef)));
  if (before == wanted) {
    NOTP_ASSIGN(const std::string commit, resolve(wanted + "^{commit}"));
    if (!commit.empty()) return check_fetched(tip);
    // Only its name is left here, as after a fault of the disk.
    wipe();
    NOTP_TRY(prepare(format_of(wanted)));
  }
  auto fetched = fetch_once(tip);
  if (!fetched && fetched.error().code == ErrorCode::kLimit && !before.empty()) {
    // What earlier fetches have left here may be what does not fit.
    wipe();
    NOTP_TRY(prepare(format_of(wanted)));
    fetched = fetch_once(tip);
  }
  if (!fetched) {
    if (fetched.error().code == ErrorCode::kLimit) wipe();
    begin();  // its time may be over, and this takes little
    NOTP_TRY(prepare({}));
    return fetched;
  }
  NOTP_TRY(check_fetched(tip));
  repack();
  return {};
}

// --- the repository

Result<std::string> UpstreamRepository::resolve(const std::string& name) const {
  NOTP_ASSIGN(const GitAnswer answer,
              ask({"rev-parse", "--verify", "--quiet", "--end-of-options", name}));
  return answer.status == 0 ? without_line_end(answer.output) : std::string();
}

Result<bool> UpstreamRepository::has(const std::string& id, std::string_view type) const {
  NOTP_ASSIGN(const GitAnswer answer, ask({"cat-file", "-e", fmt::format("{}^{{{}}}", id, type)}));
  return answer.status == 0;
}

Result<void> UpstreamRepository::require_fetched(const UpstreamTip& tip) const {
  NOTP_TRY(check_tip(tip));
  NOTP_ASSIGN(const bool has_commit, has(tip.commit, "commit"));
  bool has_tag = true;
  if (!tip.tag_object.empty()) {
    NOTP_ASSIGN(has_tag, has(tip.tag_object, "tag"));
  }
  if (has_commit && has_tag) return {};
  return fail(ErrorCode::kNotFound,
              fmt::format("{} at {} has not been fetched", tip.ref, short_id(tip.commit)));
}

Result<GitTrees> UpstreamRepository::open_trees() const {
  NOTP_ASSIGN(GitObjects objects,
              GitObjects::open(git_.folder().top, git_.local_environment(), deadline_ms_));
  return GitTrees(std::move(objects));
}

Result<bool> UpstreamRepository::is_ancestor(const std::string& commit,
                                             const std::string& of) const {
  NOTP_ASSIGN(const bool is_known, has(commit, "commit"));
  if (!is_known) {
    // A history with a hole is no other history.
    NOTP_ASSIGN(const GitAnswer whole, ask({"rev-list", "--count", of}));
    if (whole.status != 0) return unreadable(of, whole);
    return false;
  }
  NOTP_ASSIGN(const GitAnswer answer, ask({"merge-base", "--is-ancestor", commit, of}));
  if (answer.status == 0 || answer.status == 1) return answer.status == 0;
  return unreadable(of, answer);
}

Result<std::vector<std::string>> UpstreamRepository::parents_of(const std::string& commit) const {
  NOTP_ASSIGN(const GitAnswer answer, ask({"rev-parse", commit + "^@"}));
  if (answer.status != 0)
    return fail(ErrorCode::kCorrupt,
                fmt::format("git cannot read the commit {}", short_id(commit)));
  std::vector<std::string> parents;
  std::istringstream lines(answer.output);
  for (std::string line; std::getline(lines, line);) parents.push_back(std::move(line));
  return parents;
}

Result<std::set<std::string>> UpstreamRepository::history_without(
    const std::string& commit, const std::vector<std::string>& others) const {
  std::vector<std::string> words = {"rev-list", commit, "--not"};
  words.insert(words.end(), others.begin(), others.end());
  NOTP_ASSIGN(const GitAnswer answer, ask(std::move(words)));
  if (answer.status != 0) return unreadable(commit, answer);
  std::istringstream lines(answer.output);
  return std::set<std::string>(std::istream_iterator<std::string>(lines), {});
}

}  // namespace notp::cli
