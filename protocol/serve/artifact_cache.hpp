// Caches artifacts: each is computed once for all receivers, and recompressed when many ask for it.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>

#include "common/limits.hpp"
#include "common/mutex.hpp"
#include "protocol/delta/held_release.hpp"
#include "protocol/serve/priority_gate.hpp"
#include "protocol/session/server/offer_frames.hpp"

namespace notp::serve {

// Thread-safe.
class SharedOfferFrames final : public session::OfferFrames {
 public:
  model::Content get(const wire::Offer& offer, const model::Content& artifact) override {
    const MutexLock lock(mutex_);
    return OfferFrames::get(offer, artifact);
  }

 private:
  Mutex mutex_;
};

// Immutable; a broadcast shares one.
struct Artifact {
  Hash id;  // artifact_id of the pair and the tier
  Bytes bytes;
  uint32_t encoding_tier = 0;
  std::shared_ptr<session::OfferFrames> frames = std::make_shared<SharedOfferFrames>();
};
using ArtifactPtr = std::shared_ptr<const Artifact>;

// The base and target releases of an artifact, by their hashes. Base zero: full content.
struct ArtifactPair {
  Hash base;
  Hash target;
};

// Keeps artifacts within a byte budget and evicts the least recently used first. When several
// callers ask for a pair at once, the first one encodes it and the others wait. Thread-safe; get()
// blocks while it encodes, so it belongs on the offload pool.
//
// With a recompression level, popular artifacts are encoded a second time at that level: a delta
// after kRecompressAfter requests, full content after one, because the next node that joins asks
// for it. The most wanted goes first, one at a time, at the lowest priority, and paused while a
// caller waits for a first encoding. A smaller result is handed out from then on; the first
// encoding stays for clients that resume it, until it is evicted. Only the newest release of a
// ledger is recompressed, while both releases are in memory: nothing is read back for this.
//
// Artifacts that publishers upload are not cached: until they are decoded and compared with the
// signed content root they are a peer's bytes, and encoding again is cheaper than that.
class ArtifactCache {
 public:
  // An artifact above the budget is handed out and not kept. Level 0: no recompression, and no
  // thread for it.
  explicit ArtifactCache(size_t budget_bytes = limits::kArtifactCacheBytes,
                         int recompress_level = 0);
  ~ArtifactCache();
  ArtifactCache(const ArtifactCache&) = delete;
  ArtifactCache& operator=(const ArtifactCache&) = delete;

  // `base` may be null: full content. Both snapshots are of one ledger. `resume` (zero: none) is
  // the id of an artifact whose front the client has: that encoding is handed out if it is cached.
  // Errors of encode_artifact() go to all waiting callers and are not kept.
  Result<ArtifactPtr> get(const delta::HeldReleasePtr& base, const delta::HeldReleasePtr& target,
                          const Hash& resume = {});
  // The same for a base that is not a release; its tree's content root identifies it, and it has no
  // envelope. Such artifacts are not recompressed.
  Result<ArtifactPtr> get(const delta::ReleaseContent& part, const delta::HeldReleasePtr& target);
  // Returns what get() would hand out, if it is cached; null otherwise. Does not block. A hit
  // counts like one of get(); a miss does not count, because get() follows.
  ArtifactPtr find(const ArtifactPair& pair, const Hash& resume = {});
  // The same without counting.
  ArtifactPtr peek(const delta::HeldReleasePtr& base, const delta::HeldReleasePtr& target,
                   const Hash& resume = {}) const;

  // A round: artifacts of releases that have a newer one, and that nobody asked for in
  // kSupersededRounds rounds, are dropped. Call it now and then.
  void drop_superseded();
  static constexpr uint32_t kSupersededRounds = 60;

  // Ends recompression permanently and at once. A thread inside a step of zstd ends after it (some
  // 100 ms of processor time) and touches only what it holds. The destructor does this, too.
  void stop_recompressing();

  // Totals since the start. A caller that waits for another's encoding counts as joined.
  struct Counters {
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t joined = 0;
    uint64_t evicted = 0;
    uint64_t superseded = 0;  // dropped by drop_superseded()
    size_t bytes = 0;         // currently kept
    size_t artifacts = 0;
    uint64_t recompressed = 0;          // with a smaller result
    uint64_t recompressed_in_vain = 0;  // without
    uint64_t recompress_abandoned = 0;  // shutdown, or not useful or possible any more
    uint64_t saved_bytes = 0;           // by handing out second encodings
    size_t recompress_waiting = 0;      // now
    size_t recompressing = 0;           // now: 0 or 1
  };
  Counters counters() const;
  // Blocks until `so` returns true for the counters.
  void wait_until(const std::function<bool(const Counters&)>& so) const;

 private:
  struct Flight {
    bool done = false;
    Result<ArtifactPtr> result;
  };
  struct Kept {
    Hash pair;
    ArtifactPtr artifact;
  };
  using Order = std::list<Kept>;
  // State of a pair while an encoding of it is kept.
  struct Entry {
    std::array<std::optional<Order::iterator>, 2> encodings;  // the first one, the smaller one
    std::weak_ptr<const delta::HeldRelease> base, target;
    bool full = false;
    model::LedgerId ledger;
    uint64_t version = 0;
    uint64_t asked = 0;
    size_t first_bytes = 0;
    bool settled = false;  // no second encoding will follow, or no other
    uint32_t rounds = 0;   // drop_superseded() since it was asked for
  };
  // A second encoding under way, which holds its snapshots. Its thread may outlive the cache, so it
  // shares all that it needs.
  struct Job {
    enum State : uint32_t { kRunning, kMade, kAbandoned };

    Hash pair;
    delta::HeldReleasePtr base, target;
    delta::EncodeOptions options;
    std::atomic<uint32_t> state{kRunning};
    Result<Bytes> bytes;  // set when done

    void end(State with);
  };
  using JobPtr = std::shared_ptr<Job>;
  using Entries = std::unordered_map<Hash, Entry, HashOfHash>;

  // Finds the encoding of a pair, waits for it, or makes it: `fresh` becomes its entry.
  Result<ArtifactPtr> get(const Hash& pair, const Hash& resume, Entry fresh,
                          const std::function<Result<Bytes>()>& encode);
  ArtifactPtr hand_out(const Hash& pair, Entry& entry, const Hash& resume) NOTP_REQUIRES(mutex_);
  void ask(const Hash& pair, Entry& entry) NOTP_REQUIRES(mutex_);
  bool worth_recompressing(const Entry& entry) const NOTP_REQUIRES(mutex_);
  void settle(const Hash& pair, Entry& entry) NOTP_REQUIRES(mutex_);
  Entry& keep(const Hash& pair, Entry fresh, const ArtifactPtr& artifact) NOTP_REQUIRES(mutex_);
  void insert(const Hash& pair, Entry& entry, const ArtifactPtr& artifact) NOTP_REQUIRES(mutex_);
  void drop(Order::iterator kept) NOTP_REQUIRES(mutex_);
  void recompress_loop();
  JobPtr next_job() NOTP_REQUIRES(mutex_);
  static Result<ArtifactPtr> recompress(const JobPtr& job);
  void take_in(const Hash& pair, const Result<ArtifactPtr>& made) NOTP_REQUIRES(mutex_);

  const size_t budget_bytes_;
  const int recompress_level_;
  const std::shared_ptr<PriorityGate> gate_ = std::make_shared<PriorityGate>();

  mutable Mutex mutex_;
  ConditionVariable landed_;
  ConditionVariable wake_;             // the keeper
  mutable ConditionVariable changed_;  // counters of recompression
  bool stopping_ NOTP_GUARDED_BY(mutex_) = false;
  Order order_ NOTP_GUARDED_BY(mutex_);  // most recently used first
  Entries entries_ NOTP_GUARDED_BY(mutex_);
  std::unordered_map<Hash, std::shared_ptr<Flight>, HashOfHash> flights_ NOTP_GUARDED_BY(mutex_);
  std::set<std::pair<uint64_t, Hash>> candidates_ NOTP_GUARDED_BY(mutex_);  // by number of requests
  std::map<model::LedgerId, uint64_t> newest_ NOTP_GUARDED_BY(mutex_);      // requested versions
  JobPtr job_ NOTP_GUARDED_BY(mutex_);                                      // null: none under way
  Counters counters_ NOTP_GUARDED_BY(mutex_);

  Mutex stop_mutex_;
  std::thread keeper_;  // of normal priority: it takes the lock, the encoding does not
};

}  // namespace notp::serve
