// One ledger: its history in memory and its repository. Its content is in a memory shared by all
// ledgers.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/registry/git_blob_index.hpp"
#include "notp-server/registry/git_large_blobs.hpp"
#include "notp-server/registry/git_repository.hpp"
#include "notp-server/registry/git_text.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/registry/snapshot_memory.hpp"

namespace notp::registry {

// Thread-safe. Readers of facts share a lock for the duration of a copy; a publish holds a separate
// lock while it writes, and readers do not wait for it.
class GitLedger {
 public:
  // `folder` is the path of the repository, which need not exist. `memory` outlives the ledger.
  GitLedger(model::LedgerId id, std::filesystem::path folder, SnapshotMemory& memory);

  // Clears what a crash left, then checks and reads the history. After an error the ledger is
  // damaged: every later call except head() returns damage(). Call it once, before other calls.
  Result<void> load();

  // kCorrupt, with a message for a peer. nullopt: the ledger is served.
  std::optional<Error> damage() const;
  ReleaseInfoPtr head() const;
  Result<ReleaseInfoPtr> info(uint64_t version) const;
  Result<std::vector<ReleaseInfoPtr>> history(uint64_t below_version, size_t rows_max) const;
  Result<SnapshotPtr> snapshot(uint64_t version);
  std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees() const;
  // The release's own fields have been checked against each other. A release that is already the
  // head is answered as published: its publisher retries after a lost answer.
  Result<SnapshotPtr> publish(NewRelease release);
  // A release that is already withdrawn is answered unchanged.
  Result<ReleaseInfoPtr> withdraw(uint64_t version, const Withdrawal& withdrawal, TimeMs now_ms);
  std::vector<Hash> withdrawn() const;

 private:
  Result<void> read_repository() NOTP_REQUIRES(publish_mutex_);
  // Call it before a write: checks that the ledger is not damaged, and rereads what a failed write
  // left.
  Result<void> prepare_write() NOTP_REQUIRES(publish_mutex_);
  Result<OpenRepository> open_or_create() const;
  uint64_t newest() const;
  void append(const SnapshotPtr& snapshot);
  void share_content(model::ModelContent& content) const;

  const model::LedgerId id_;
  const std::filesystem::path folder_;
  SnapshotMemory& memory_;
  GitBlobIndex blobs_;

  Mutex publish_mutex_;
  // A failed write may have moved a reference.
  bool reread_ NOTP_GUARDED_BY(publish_mutex_) = false;
  // A tag above main that a crash left, while there is no main; 0: none.
  uint64_t unfinished_version_ NOTP_GUARDED_BY(publish_mutex_) = 0;
  // Git's folders of the head, once this process has written it.
  GitIds head_trees_ NOTP_GUARDED_BY(publish_mutex_);
  GitLargeBlobs large_blobs_ NOTP_GUARDED_BY(publish_mutex_);

  Mutex load_mutex_;  // one read of old content at a time

  mutable SharedMutex state_mutex_;
  std::optional<Error> damage_ NOTP_GUARDED_BY(state_mutex_);
  std::vector<ReleaseInfoPtr> releases_ NOTP_GUARDED_BY(state_mutex_);  // ascending by version
  std::map<uint64_t, Hash> withdrawn_ NOTP_GUARDED_BY(state_mutex_);    // by version
};

}  // namespace notp::registry
