// Artifacts for sessions: made once, however many wait.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "notp-server/artifacts/artifact_cache.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/transport/offload.hpp"

namespace notp {

struct WantedArtifact {
  LedgerId ledger;
  uint64_t version = 0;
  uint64_t base_version = 0;  // 0: full content
  Hash resume;                // the artifact that the client has the front of; zero: none
};

// Thread-safe. A push to many sessions, or a fleet that comes back at once, takes one thread of the
// pool for each artifact, not one for each session: the others wait without a thread.
class ArtifactSource {
 public:
  // All of them outlive the source; the pool is joined before the executors of those who wait end.
  ArtifactSource(Registry& registry, ArtifactCache& cache, OffloadPool& pool)
      : registry_(registry), cache_(cache), pool_(pool) {}

  // What is in the cache. Null when it has to be made. Does not block.
  ArtifactPtr cached(const WantedArtifact& wanted);
  // Makes it on the pool, or waits for who does, and resumes the caller on its own executor.
  // kNotFound, kCorrupt, kOverloaded, errors of encode_artifact.
  boost::asio::awaitable<Result<ArtifactPtr>> fetch(WantedArtifact wanted);
  // Makes what sessions will want first of a new head: it against the release before. Blocking: on
  // the pool. An error is left for those who ask.
  void prepare(const LedgerId& ledger);

  // Callers of fetch() that waited for what another one had made, since the start.
  uint64_t joined_total() const { return joined_; }

 private:
  using Waiter = std::move_only_function<void(const Result<ArtifactPtr>&)>;

  Result<ArtifactPair> pair_of(const WantedArtifact& wanted) const;
  Result<ArtifactPtr> make(const WantedArtifact& wanted);
  void join(const Hash& key, WantedArtifact wanted, Waiter waiter);
  void land(const Hash& key, const Result<ArtifactPtr>& outcome);

  Registry& registry_;
  ArtifactCache& cache_;
  OffloadPool& pool_;
  std::atomic<uint64_t> joined_{0};

  std::mutex mutex_;
  // Guarded by mutex_: who waits for what is being made.
  std::unordered_map<Hash, std::vector<Waiter>, HashOfHash> waiting_;
};

}  // namespace notp
