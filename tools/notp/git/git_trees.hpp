// The folders of Git commits, from the object database: nothing is checked out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/notp/git/git_program.hpp"
#include "tools/notp/publish/model_scan.hpp"

namespace notp::cli {

// A name of a file system, and all the paths of a folder together: a tree object can contain itself
// many times over by its hash, so that a small repository has endless paths.
inline constexpr size_t kGitNameBytesMax = 255;
inline constexpr size_t kGitPathBytesMax = 256 << 20;

// Remembers what it has read: commits share most of their folders and files. Trusts nothing that it
// reads. One thread.
class GitTrees {
 public:
  explicit GitTrees(GitObjects objects) : objects_(std::move(objects)) {}

  // Returns the tree object of a folder in a commit; nullopt when it is not there. `path`: "", or
  // "a/b". kCorrupt when objects are missing.
  Result<std::optional<std::string>> folder_in(const std::string& commit, std::string_view path);
  // The entries of a tree object, by name. kCorrupt; kInvalidModel: names that no folder can have.
  Result<const std::vector<GitObjects::Entry>*> entries(const std::string& id);
  // kLimit: larger than `bytes_max`; kCorrupt.
  Result<model::Content> blob(const std::string& id, uint64_t bytes_max);
  // Size and hash as in a model. Errors as blob().
  Result<model::FileEntry> file(const std::string& id, uint64_t bytes_max);
  // kLimit, kCorrupt, nullopt: as GitObjects::read().
  Result<std::optional<GitObjects::Object>> object(const std::string& name, size_t bytes_max) {
    return objects_.read(name, bytes_max);
  }

 private:
  GitObjects objects_;
  std::map<std::string, std::vector<GitObjects::Entry>> entries_;
  std::map<std::string, model::FileEntry> files_;
};

// One folder as a model's source.
class GitTreeSource final : public ModelSource {
 public:
  // `tree` as GitTrees::folder_in() returns it. Unless `needs_content`, read() returns hashes only.
  // After `deadline_ms` (Now::boot_ms), kTimeout: links can be as many and as long as to take
  // hours.
  GitTreeSource(GitTrees& trees, std::string tree, bool needs_content, TimeMs deadline_ms);

  // kInvalidModel, also for more than kGitPathBytesMax.
  Result<std::vector<Entry>> list(const std::string& folder) override;
  Result<std::string> link_target(const std::string& path) override;
  Result<File> read(const std::string& path, uint64_t bytes_max) override;
  Result<model::Content> text(const std::string& path, uint64_t bytes_max) override;

 private:
  const std::string& id_of(const std::string& path) const {
    return path.empty() ? tree_ : *ids_.at(path);
  }
  Result<void> check_time() const;

  GitTrees& trees_;
  const std::string tree_;
  const bool needs_content_;
  const TimeMs deadline_ms_;
  std::map<std::string, const std::string*> ids_;  // listed so far, by path; in trees_
  size_t path_bytes_ = 0;                          // of all these
};

}  // namespace notp::cli
