// The releases that the registry holds in memory, of all ledgers, within one budget.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp::registry {

// Thread-safe. A caller that got a snapshot keeps its content alive; content that only callers hold
// is not counted.
//
// Eviction order: contents of releases before the last two of their ledger, least recently used
// first; then contents of the last two, including heads; then trees of whole ledgers. Evicted
// content is read from Git on demand. Publishes and artifacts need the head's content each time,
// that of earlier releases for moments only: those before the last two take at most kOlderBytes,
// and drop_unused() leaves heads alone.
//
// A content that several snapshots share is counted once. The containers of each snapshot and tree
// are counted as well, by an estimate for each file: 100,000 small files take more memory than
// their bytes.
class SnapshotMemory {
 public:
  // Of contents before the last two releases of their ledgers, beyond those that newer ones share.
  static constexpr uint64_t kOlderBytes = 8ULL << 20;

  explicit SnapshotMemory(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // Null when it is not in memory, or is not the release with that hash.
  SnapshotPtr find(const model::LedgerId& ledger, uint64_t version, const Hash& hash);
  // `head` is the ledger's newest version. A snapshot larger than the budget is not kept.
  void keep(const SnapshotPtr& snapshot, uint64_t head);
  // The trees in memory of the last kSnapshotsPerLedger releases up to `head`, newest first.
  std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(const model::LedgerId& ledger,
                                                                uint64_t head);

  // Drops contents of all releases but heads that nobody has used since the previous call. Call it
  // now and then.
  void drop_unused();

  // A snapshot had to be read from Git.
  void count_load();

  struct Counters {
    uint64_t bytes = 0;  // never above the budget
    size_t snapshots = 0;
    size_t trees = 0;
    uint64_t evicted = 0;  // snapshots, since the start: no room
    uint64_t unused = 0;   // snapshots dropped since the start: not used
    uint64_t loads = 0;    // from Git, since the start
  };
  Counters counters() const;

 private:
  struct Place {
    model::LedgerId ledger;
    uint64_t version = 0;
  };
  using Snapshots = std::list<Place>;  // most recently used first
  using Ledgers = std::list<model::LedgerId>;
  struct Held {
    SnapshotPtr snapshot;
    bool preferred = false;
    Snapshots::iterator place;  // in preferred_ or others_
    uint64_t own_bytes = 0;     // that no other snapshot held when it came
    bool is_used = true;        // since the last drop_unused()
  };
  struct Shelf {
    uint64_t head = 0;
    std::map<uint64_t, Held> held;
    std::map<uint64_t, model::TreePtr> trees;
    Ledgers::iterator place;
  };
  using Shelves = std::map<model::LedgerId, Shelf>;

  Snapshots& list_of(bool preferred) NOTP_REQUIRES(mutex_) {
    return preferred ? preferred_ : others_;
  }
  Shelf& shelf_of(const model::LedgerId& ledger) NOTP_REQUIRES(mutex_);
  // The last two versions of the ledger are preferred, and trees of the last few are kept.
  void grow(Shelf& shelf, uint64_t head) NOTP_REQUIRES(mutex_);
  void hold(Shelf& shelf, const SnapshotPtr& snapshot) NOTP_REQUIRES(mutex_);
  void hold_tree(Shelf& shelf, uint64_t version, const model::TreePtr& tree) NOTP_REQUIRES(mutex_);
  void use(Held& held) NOTP_REQUIRES(mutex_);
  void drop_unused(Snapshots& snapshots) NOTP_REQUIRES(mutex_);
  void drop(Shelf& shelf, std::map<uint64_t, Held>::iterator held) NOTP_REQUIRES(mutex_);
  void drop_tree(Shelf& shelf, std::map<uint64_t, model::TreePtr>::iterator tree)
      NOTP_REQUIRES(mutex_);
  void make_room() NOTP_REQUIRES(mutex_);
  void evict(const Place& place) NOTP_REQUIRES(mutex_);
  // Returns what it added.
  uint64_t count(const Snapshot& snapshot) NOTP_REQUIRES(mutex_);
  void discount(const Snapshot& snapshot) NOTP_REQUIRES(mutex_);

  const uint64_t budget_bytes_;

  mutable Mutex mutex_;
  Shelves shelves_ NOTP_GUARDED_BY(mutex_);
  Snapshots preferred_ NOTP_GUARDED_BY(mutex_), others_ NOTP_GUARDED_BY(mutex_);
  uint64_t others_bytes_ NOTP_GUARDED_BY(mutex_) = 0;  // Held::own_bytes of others_
  Ledgers ledgers_ NOTP_GUARDED_BY(mutex_);            // most recently used first
  // The number of snapshots that hold each content.
  std::unordered_map<const Bytes*, size_t> holders_ NOTP_GUARDED_BY(mutex_);
  // Evicted entries, kept until the lock is released, because freeing many contents takes time.
  std::vector<std::pair<SnapshotPtr, model::TreePtr>> left_ NOTP_GUARDED_BY(mutex_);
  Counters counters_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::registry
