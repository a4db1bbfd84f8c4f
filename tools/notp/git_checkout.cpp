#include "tools/notp/git_checkout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "common/limits.hpp"
#include "protocol/model/path.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/model_folder.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kTreeBytesMax = 64 << 20;    // kModelFilesMax names in one folder
constexpr size_t kParentsBytesMax = 4 << 20;  // of kGitCommitsMax lines

std::string without_line_end(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// "fatal: …", the line that says why.
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
  if (!checkout.head_.empty() && !is_commit_id(checkout.head_)) return refused(folder, head);
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
  if (head_.empty() || !is_commit_id(commit)) return false;
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

struct GitCheckout::Reading {
  Files files;
  uint64_t bytes_left = limits::kModelBytesMax;
};

Result<const std::vector<GitObjects::Entry>*> GitCheckout::entries(const std::string& id) {
  if (const auto known = entries_.find(id); known != entries_.end()) return &known->second;
  NOTP_ASSIGN(std::vector<GitObjects::Entry> found, objects_->read_tree(id));
  return &entries_.emplace(id, std::move(found)).first->second;
}

Result<std::optional<std::string>> GitCheckout::folder_in(const std::string& commit) {
  if (!objects_) {
    NOTP_ASSIGN(GitObjects objects, GitObjects::open(folder_, environment_, deadline_ms_));
    objects_ = std::make_unique<GitObjects>(std::move(objects));
  }
  NOTP_ASSIGN(const std::optional<GitObjects::Object> object,
              objects_->read(commit + "^{tree}", kTreeBytesMax));
  if (!object || object->type != "tree")
    return fail(ErrorCode::kCorrupt, fmt::format("git does not have the commit {}", commit));
  std::string id = object->id;
  for (std::string_view rest = prefix_; !rest.empty();) {
    const size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    rest.remove_prefix(slash == rest.npos ? rest.size() : slash + 1);
    NOTP_ASSIGN(const std::vector<GitObjects::Entry>* in, entries(id));
    const auto found = std::ranges::find(*in, name, &GitObjects::Entry::name);
    if (found == in->end() || !found->is_folder()) return std::nullopt;
    id = found->id;
  }
  return id;
}

Result<std::optional<FileEntry>> GitCheckout::file(const std::string& id, uint64_t bytes_max) {
  if (const auto known = files_.find(id); known != files_.end()) return known->second;
  auto object = objects_->read(id, limits::kBlobBytesMax);
  if (!object) return std::unexpected(std::move(object).error());
  if (!*object || (*object)->type != "blob")
    return fail(ErrorCode::kCorrupt, fmt::format("git does not have the file {}", id));
  const Bytes& content = (*object)->content;
  if (content.size() > bytes_max) return std::nullopt;
  const FileEntry entry{blob_hash(content), content.size()};
  files_.emplace(id, entry);
  return entry;
}

// Depth is bounded by check_path(), which every folder passes before it is entered.
Result<bool> GitCheckout::read_folder(Reading& reading, const std::string& id,
                                      const std::string& prefix) {
  NOTP_ASSIGN(const std::vector<GitObjects::Entry>* found, entries(id));
  for (const GitObjects::Entry& entry : *found) {
    const std::string path = prefix + entry.name;
    if (is_beside_model(path)) continue;
    if (!check_path(path)) return false;
    if (entry.is_folder()) {
      NOTP_ASSIGN(const bool fits, read_folder(reading, entry.id, path + "/"));
      if (!fits) return false;
      continue;
    }
    // Links, submodules and executables are no part of a model; Git once wrote "100664".
    if (entry.mode != "100644" && entry.mode != "100664") return false;
    if (reading.files.size() == limits::kModelFilesMax) return false;
    NOTP_ASSIGN(const std::optional<FileEntry> content, file(entry.id, reading.bytes_left));
    if (!content || content->bytes > reading.bytes_left) return false;
    reading.bytes_left -= content->bytes;
    reading.files.emplace(path, *content);
  }
  return true;
}

Result<std::optional<Hash>> GitCheckout::content_root(const std::string& commit) {
  NOTP_ASSIGN(const std::optional<std::string> id, folder_in(commit));
  if (!id) return std::nullopt;
  if (const auto known = content_roots_.find(*id); known != content_roots_.end())
    return known->second;
  Reading reading;
  NOTP_ASSIGN(const bool fits, read_folder(reading, *id, ""));
  std::optional<Hash> root;
  if (fits)
    if (const auto tree = Tree::make(std::move(reading.files))) root = tree->content_root();
  content_roots_.emplace(*id, root);
  return root;
}

}  // namespace notp::cli
