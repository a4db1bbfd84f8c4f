#include "tools/notp/git/git_checkout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "protocol/trust/statements.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kParentsBytesMax = 4 << 20;  // for kGitCommitsMax lines

std::string without_line_end(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// Uses the line "fatal: …" as the reason.
std::unexpected<Error> refused(const fs::path& folder, const GitAnswer& answer) {
  std::string why = printable(answer.error.substr(0, answer.error.find('\n')));
  if (why.empty()) why = fmt::format("it exits with {}", answer.status);
  return std::unexpected(
      Error{ErrorCode::kUsage, fmt::format("git cannot work in {}: {}", folder.string(), why), {}});
}

bool has_repository_above(const fs::path& folder) {
  std::error_code error;
  for (fs::path at = fs::weakly_canonical(folder, error); !at.empty(); at = at.parent_path()) {
    if (fs::exists(at / ".git", error)) return true;
    if (at == at.parent_path()) break;
  }
  return false;
}

}  // namespace

Result<std::optional<GitCheckout>> GitCheckout::find(const fs::path& folder,
                                                     const Environment& environment) {
  GitCheckout checkout(folder, git_environment(environment), read_clock().boot_ms + kGitPatienceMs);
  auto where = checkout.ask(
      {"rev-parse", "--is-inside-work-tree", "--is-shallow-repository", "--show-prefix"},
      kAnswerBytesMax);
  if (!where && where.error().code == ErrorCode::kUsage && !has_repository_above(folder))
    return std::nullopt;
  if (!where) return std::unexpected(std::move(where).error());
  if (where->status != 0) {
    if (where->error.contains("not a git repository")) return std::nullopt;
    return refused(folder, *where);
  }
  std::string_view rest = where->output;
  const auto next_line = [&rest] {
    const size_t end = rest.find('\n');
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    return line;
  };
  if (next_line() != "true") return std::nullopt;  // a bare repository, or ".git" itself
  checkout.is_shallow_ = next_line() != "false";
  checkout.prefix_ = without_line_end(std::string(rest));
  NOTP_ASSIGN(const GitAnswer head,
              checkout.ask({"rev-parse", "--verify", "--quiet", "HEAD^{commit}"}, kAnswerBytesMax));
  if (head.status == 0) checkout.head_ = without_line_end(head.output);
  if (!checkout.head_.empty() && !trust::is_commit_id(checkout.head_)) return refused(folder, head);
  return checkout;
}

Result<GitAnswer> GitCheckout::ask(std::vector<std::string> words, size_t bytes_max) {
  return ask_git(folder_, std::move(words), environment_, deadline_ms_, bytes_max);
}

Result<bool> GitCheckout::has_folder() {
  if (head_.empty()) return false;
  NOTP_ASSIGN(const std::optional<std::string> found, folder_in(head_));
  return found.has_value();
}

Result<bool> GitCheckout::tracks(const std::string& name) {
  NOTP_ASSIGN(const GitAnswer index, ask({"ls-files", "--", name}, kAnswerBytesMax));
  if (index.status != 0) return refused(folder_, index);
  if (!index.output.empty()) return true;
  if (head_.empty()) return false;
  NOTP_ASSIGN(const GitAnswer tree,
              ask({"ls-tree", "-r", "--name-only", head_, "--", name}, kAnswerBytesMax));
  if (tree.status != 0) return refused(folder_, tree);
  return !tree.output.empty();
}

Result<bool> GitCheckout::contains(const std::string& commit) {
  if (head_.empty() || !trust::is_commit_id(commit)) return false;
  if (commit == head_) return true;
  NOTP_ASSIGN(const GitAnswer answer,
              ask({"merge-base", "--is-ancestor", commit, head_}, kAnswerBytesMax));
  return answer.status == 0;
}

Result<std::vector<GitCommit>> GitCheckout::commits(size_t count) {
  std::vector<GitCommit> commits;
  if (head_.empty()) return commits;
  NOTP_ASSIGN(const GitAnswer answer, ask({"rev-list", "--topo-order", "--parents",
                                           fmt::format("--max-count={}", count), head_},
                                          kParentsBytesMax));
  if (answer.status != 0) return refused(folder_, answer);
  std::istringstream lines(answer.output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    GitCommit commit;
    words >> commit.id;
    for (std::string parent; words >> parent;) commit.parents.push_back(std::move(parent));
    commits.push_back(std::move(commit));
  }
  return commits;
}

// --- content

Result<std::optional<std::string>> GitCheckout::folder_in(const std::string& commit) {
  if (!trees_) {
    NOTP_ASSIGN(GitObjects objects, GitObjects::open(folder_, environment_, deadline_ms_));
    trees_ = std::make_unique<GitTrees>(std::move(objects));
  }
  return trees_->folder_in(commit, prefix_);
}

Result<std::optional<Hash>> GitCheckout::content_root(const std::string& commit) {
  NOTP_ASSIGN(const std::optional<std::string> id, folder_in(commit));
  if (!id) return std::nullopt;
  if (const auto known = content_roots_.find(*id); known != content_roots_.end())
    return known->second;
  GitTreeSource source(*trees_, *id, false, deadline_ms_);
  auto scan = scan_model(
      source,
      {.name = model_name_of(folder_.string()), .needs_blobs = false, .needs_notes = false});
  if (!scan && scan.error().code != ErrorCode::kInvalidModel)
    return std::unexpected(std::move(scan).error());
  std::optional<Hash> root;
  if (scan && scan->findings.empty())
    if (const auto tree = model::Tree::make(std::move(scan->files))) root = tree->content_root();
  content_roots_.emplace(*id, root);
  return root;
}

}  // namespace notp::cli
