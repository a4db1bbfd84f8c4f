#include "tools/notp/git/git_checkout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "common/limits.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/publish/model_folder.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kTreeBytesMax = 64 << 20;    // kModelFilesMax names in one folder
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

Result<model::Content> GitCheckout::blob(const std::string& id) {
  NOTP_ASSIGN(std::optional<GitObjects::Object> object, objects_->read(id, limits::kBlobBytesMax));
  if (!object || object->type != "blob")
    return fail(ErrorCode::kCorrupt, fmt::format("git does not have the file {}", id));
  return std::make_shared<const Bytes>(std::move(object->content));
}

// Presents the folder of one commit as a ModelSource.
class GitCheckout::CommitSource final : public ModelSource {
 public:
  CommitSource(GitCheckout& checkout, const std::string& tree) : checkout_(checkout) {
    ids_[""] = tree;
  }

  Result<std::vector<Entry>> list(const std::string& folder) override {
    NOTP_ASSIGN(const std::vector<GitObjects::Entry>* found, checkout_.entries(id_of(folder)));
    std::vector<Entry> entries;
    for (const GitObjects::Entry& entry : *found) {
      ids_[folder.empty() ? entry.name : folder + "/" + entry.name] = entry.id;
      entries.push_back({entry.name, kind_of(entry)});
    }
    return entries;
  }
  Result<std::string> link_target(const std::string& path) override {
    NOTP_ASSIGN(const model::Content target, checkout_.blob(id_of(path)));
    return *target;
  }
  Result<File> read(const std::string& path, uint64_t bytes_max) override {
    const std::string& id = id_of(path);
    if (const auto known = checkout_.files_.find(id); known != checkout_.files_.end())
      return File{known->second, nullptr};
    NOTP_ASSIGN(const model::Content content, text(path, bytes_max));
    const model::FileEntry entry{model::blob_hash(*content), content->size()};
    checkout_.files_.emplace(id, entry);
    return File{entry, nullptr};
  }
  Result<model::Content> text(const std::string& path, uint64_t bytes_max) override {
    NOTP_ASSIGN(model::Content content, checkout_.blob(id_of(path)));
    if (content->size() > bytes_max)
      return fail(ErrorCode::kLimit,
                  fmt::format("{} bytes, {} are allowed", content->size(), bytes_max));
    return content;
  }

 private:
  const std::string& id_of(const std::string& path) const { return ids_.at(path); }
  // File modes are ignored: "100644", "100755", and "100664" of old Git versions.
  static Kind kind_of(const GitObjects::Entry& entry) {
    if (entry.is_folder()) return Kind::kFolder;
    if (entry.mode == "120000") return Kind::kLink;
    return entry.mode.starts_with("100") ? Kind::kFile : Kind::kOther;
  }

  GitCheckout& checkout_;
  std::map<std::string, std::string> ids_;  // listed so far, by path
};

Result<std::optional<Hash>> GitCheckout::content_root(const std::string& commit) {
  NOTP_ASSIGN(const std::optional<std::string> id, folder_in(commit));
  if (!id) return std::nullopt;
  if (const auto known = content_roots_.find(*id); known != content_roots_.end())
    return known->second;
  CommitSource source(*this, *id);
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
