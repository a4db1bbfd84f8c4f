// Maps contents to Git objects, for the blobs of the releases of one ledger.
#pragma once

#include <optional>
#include <unordered_map>

#include "common/mutex.hpp"
#include "notp-server/registry/git_library.hpp"
#include "protocol/model/tree.hpp"

namespace notp::registry {

// Snapshots keep content alive, not this index: a blob that two releases share is found here, and
// neither read again nor held twice. Thread-safe.
class GitBlobIndex {
 public:
  struct Known {
    Hash hash;
    model::Content content;
  };

  // Adds a blob that is in the repository.
  void add(const GitId& id, const Hash& hash, const model::Content& content);
  // The object of a content, if this index has seen it.
  std::optional<GitId> id_of(const Hash& hash) const;
  // The content of an object, while a snapshot holds it.
  std::optional<Known> find(const GitId& id) const;
  // The content with that hash, while a snapshot holds it; else nullptr.
  model::Content content_of(const Hash& hash) const;

 private:
  struct Entry {
    Hash hash;
    std::weak_ptr<const Bytes> content;
  };
  void forget_expired() NOTP_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::unordered_map<GitId, Entry, HashOfGitId> by_id_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<Hash, GitId, HashOfHash> by_hash_ NOTP_GUARDED_BY(mutex_);
  size_t swept_at_ NOTP_GUARDED_BY(mutex_) = 1024;
};

}  // namespace notp::registry
