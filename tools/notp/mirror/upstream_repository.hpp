// The bare repository of an upstream: fetched into, within a disk budget, and asked.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/storage/folder_lock.hpp"
#include "tools/notp/git/git_trees.hpp"
#include "tools/notp/mirror/upstream_git.hpp"

namespace notp::cli {

// The first digits of an id, for people.
std::string short_id(const std::string& id);

// Each call ends by the deadline that begin() has set, with kTimeout. One thread.
class UpstreamRepository {
 public:
  // Makes the folder of `git`, and the repository in it if there is none. kConflict: another
  // process uses it.
  static Result<UpstreamRepository> open(UpstreamGit git);

  const UpstreamConfig& config() const { return git_.config(); }
  const UpstreamGit& git() const { return git_; }
  // Starts the time of UpstreamConfig::deadline_ms.
  void begin() { deadline_ms_ = read_clock().boot_ms + config().deadline_ms; }
  TimeMs deadline_ms() const { return deadline_ms_; }

  // Errors as Upstream's.
  Result<UpstreamTip> look() const;
  Result<void> fetch(const UpstreamTip& tip);

  // Removes all that was fetched when the error says that it is damaged: the next fetch is of all.
  // Returns the error.
  template <typename T>
  Result<T> forget_damaged(Result<T> result) const {
    if (!result && result.error().code == ErrorCode::kCorrupt) wipe();
    return result;
  }

  // Runs git without the server.
  Result<GitAnswer> ask(std::vector<std::string> words) const;
  // kNotFound, unless commit and tag object are here.
  Result<void> require_fetched(const UpstreamTip& tip) const;
  // The commit is here.
  Result<bool> has_commit(const std::string& id) const { return has(id, "commit"); }
  // `of` is here; false when the commit is not. A commit is its own ancestor. kCorrupt: a part of
  // the history is missing.
  Result<bool> is_ancestor(const std::string& commit, const std::string& of) const;
  Result<std::vector<std::string>> parents_of(const std::string& commit) const;
  // The commit and its ancestors, without the others and theirs; kLimit for more than some hundred.
  Result<std::set<std::string>> history_without(const std::string& commit,
                                                const std::vector<std::string>& others) const;
  // The objects, to be read until the deadline.
  Result<GitTrees> open_trees() const;

 private:
  UpstreamRepository(UpstreamGit git, FolderLock lock)
      : git_(std::move(git)), lock_(std::move(lock)) {}
  // Removes what a killed run has left, and makes the repository, again if it has another format
  // than `object_format`; empty: any.
  Result<void> prepare(const std::string& object_format);
  Result<std::string> object_format() const;
  void wipe() const;
  void remove_leftovers() const;
  Result<void> fetch_once(const UpstreamTip& tip) const;
  Result<void> check_fetched(const UpstreamTip& tip) const;
  void repack() const;
  // The id that a name resolves to; empty: none.
  Result<std::string> resolve(const std::string& name) const;
  Result<bool> has(const std::string& id, std::string_view type) const;

  UpstreamGit git_;
  FolderLock lock_;
  TimeMs deadline_ms_ = 0;
};

}  // namespace notp::cli
