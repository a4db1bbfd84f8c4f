// The Git checkout that contains a model's folder: its current commit, that commit's ancestors, and
// the content roots of models in its history.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/model/tree.hpp"
#include "tools/notp/git/git_program.hpp"
#include "tools/notp/git/git_trees.hpp"

namespace notp::cli {

// Limits of a publish in Git: commits looked at, and the total time of all Git calls.
inline constexpr size_t kGitCommitsMax = 1000;
inline constexpr TimeMs kGitPatienceMs = 10'000;

struct GitCommit {
  std::string id;  // hexadecimal
  std::vector<std::string> parents;
};

// Reads a repository through the stock git program; writes nothing. One thread.
class GitCheckout {
 public:
  // nullopt: the folder is not in a checkout. kUsage with the reason when git refuses to work (a
  // repository of another user) or is not installed although there is a ".git". kTimeout.
  static Result<std::optional<GitCheckout>> find(const std::filesystem::path& folder,
                                                 const Environment& environment);

  // The commit that is checked out; empty: the repository has no commit yet.
  const std::string& head() const { return head_; }
  // A shallow clone: history ends where the clone was cut off.
  bool is_shallow() const { return is_shallow_; }
  // The commit that is checked out has this folder.
  Result<bool> has_folder();
  // Git tracks this file of the folder, by its index or by the commit that is checked out.
  Result<bool> tracks(const std::string& name);
  // The commit is the one that is checked out or one of its ancestors. False for a commit that the
  // repository does not have.
  Result<bool> contains(const std::string& commit);
  // The commit that is checked out and its ancestors, children before parents: at most `count`.
  Result<std::vector<GitCommit>> commits(size_t count);
  // Returns the content root of the folder in the commit, by the rules of
  // tools/notp/publish/model_scan.hpp as for a folder on disk; nullopt when the folder is not there
  // or cannot be a model. kCorrupt when objects are missing.
  Result<std::optional<Hash>> content_root(const std::string& commit);

 private:
  GitCheckout(std::filesystem::path folder, Environment environment, TimeMs deadline_ms)
      : folder_(std::move(folder)),
        environment_(std::move(environment)),
        deadline_ms_(deadline_ms) {}
  Result<GitAnswer> ask(std::vector<std::string> words, size_t bytes_max);
  // Returns the tree object of the folder in a commit; nullopt when it is not there.
  Result<std::optional<std::string>> folder_in(const std::string& commit);

  std::filesystem::path folder_;
  Environment environment_;
  TimeMs deadline_ms_;
  std::string head_, prefix_;  // the folder's path in the repository, "" or with '/' at its end
  bool is_shallow_ = false;
  std::unique_ptr<GitTrees> trees_;  // created with the first content that is read
  std::map<std::string, std::optional<Hash>> content_roots_;  // by tree object
};

}  // namespace notp::cli
