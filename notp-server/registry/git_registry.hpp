// The version store on Git: one bare repository for each ledger, readable with the stock tool.
//
// <data>/ledgers/<zone>/<ledger>.git: main is the head; one commit for each release, by its
// publisher; an annotated tag v<version> holds the signed envelope. A publish writes a pack (and
// one for each large document that changed a little), fsyncs, and moves main last: main is the
// commit point. An annotated tag withdrawn/v<version> on the same commit records the identity that
// withdrew the release, the time and the reason. The registry is the only writer and holds a lock
// on <data>/registry.lock; any process may read, clone and fsck. Each publish adds a pack; `git gc`
// on a repository, with the registry stopped, merges them.
#pragma once

#include <filesystem>
#include <map>

#include "common/descriptor.hpp"
#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/registry/snapshot_memory.hpp"

namespace notp::registry {

class GitLedger;

// Thread-safe. Calls block on the disk, except head(), info(), history(), withdrawn(),
// recent_trees(), damaged(), damage() and ledgers().
class GitRegistry final : public Registry {
 public:
  // Reads and checks every ledger. The others are served when one is damaged: that one is listed by
  // damaged() and answers kCorrupt. kIo when `data` cannot be used or another process holds it.
  // Releases take at most `snapshot_bytes` of memory, as SnapshotMemory counts, besides those that
  // callers hold: what does not fit is read from Git each time.
  static Result<std::unique_ptr<GitRegistry>> open(
      const std::filesystem::path& data, uint64_t snapshot_bytes = limits::kSnapshotMemoryBytes);
  ~GitRegistry() override;

  std::vector<model::LedgerId> ledgers() const override;
  ReleaseInfoPtr head(const model::LedgerId& ledger) const override;
  Result<ReleaseInfoPtr> info(const model::LedgerId& ledger, uint64_t version) const override;
  Result<SnapshotPtr> snapshot(const model::LedgerId& ledger, uint64_t version) override;
  std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(
      const model::LedgerId& ledger) const override;
  Result<std::vector<ReleaseInfoPtr>> history(const model::LedgerId& ledger, uint64_t below_version,
                                              size_t rows_max) const override;
  // kConflict has the context head_version, head_publisher, head_issued_ms. A release that is
  // already the head is answered as published. kStatement: it does not follow the head.
  // kContentRoot: the content does not match the release.
  Result<SnapshotPtr> publish(NewRelease release) override;
  Result<ReleaseInfoPtr> withdraw(const model::LedgerId& ledger, uint64_t version,
                                  std::string_view reason, std::string_view identity,
                                  TimeMs now_ms) override;
  std::vector<Hash> withdrawn(const model::LedgerId& ledger) const override;

  // Gives back the memory of releases that are not in use; see SnapshotMemory.
  void drop_unused_snapshots() { snapshots_.drop_unused(); }
  SnapshotMemory::Counters snapshot_counters() const { return snapshots_.counters(); }

  std::vector<LedgerDamage> damaged() const override;
  std::optional<Error> damage(const model::LedgerId& ledger) const override;

 private:
  GitRegistry(std::filesystem::path ledgers, Descriptor lock, uint64_t snapshot_bytes);
  Result<void> load_all();
  Result<void> load_zone(const std::filesystem::path& zone) NOTP_REQUIRES(mutex_);
  void load_ledger(const model::LedgerId& id, const std::filesystem::path& folder)
      NOTP_REQUIRES(mutex_);
  GitLedger* find(const model::LedgerId& id) const;
  Result<GitLedger*> find_or_add(const model::LedgerId& id);

  const std::filesystem::path folder_;  // <data>/ledgers
  const Descriptor lock_;               // the kernel releases it however the process ends
  SnapshotMemory snapshots_;
  mutable SharedMutex mutex_;
  // A ledger is never removed; a damaged one stays damaged until the next start.
  std::map<model::LedgerId, std::unique_ptr<GitLedger>> ledgers_ NOTP_GUARDED_BY(mutex_);
  std::vector<LedgerDamage> damaged_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::registry
