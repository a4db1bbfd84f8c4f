// Provides artifacts for sessions: each is made once, however many wait.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/mutex.hpp"
#include "common/telemetry/span.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "protocol/serve/fair_lane.hpp"
#include "protocol/serve/release_source.hpp"

namespace notp::serve {

struct WantedArtifact {
  model::LedgerId ledger;
  uint64_t version = 0;
  uint64_t base_version = 0;  // 0: full content
  Hash resume;                // the artifact whose front the client has; zero: none
};

// Thread-safe. A push to many sessions, or a fleet that reconnects at once, takes one thread of the
// lane for each artifact, not one for each session: the others wait without a thread. The artifact
// is made in the turn of the first asker whose turn comes, and its cost counts for that asker.
class ArtifactSource {
 public:
  // All references outlive the source; the lane's work ends before the executors of the waiting
  // callers.
  ArtifactSource(ReleaseSource& releases, ArtifactCache& cache, FairLane& lane)
      : releases_(releases), cache_(cache), lane_(lane) {}

  // Returns the cached artifact; null when it has to be made. Does not block.
  ArtifactPtr cached(const WantedArtifact& wanted);
  // Makes it when it is the turn of `asker`, an identity, or waits for a build already in flight,
  // and resumes the caller on its own executor. kNotFound, kCorrupt, kOverloaded, errors of
  // encode_artifact.
  boost::asio::awaitable<Result<ArtifactPtr>> fetch(std::string asker, WantedArtifact wanted);
  // Makes the artifact that sessions will want first of a new head: against the release before.
  // Blocking: not on a session's thread. A later caller meets the error, if any. Its span is below
  // `publish`; null: none.
  void prepare(const model::LedgerId& ledger, const Span* publish = nullptr);

  // Callers of fetch() that waited for an artifact made for another one, since the start.
  uint64_t joined_total() const { return joined_; }

 private:
  using Resume = std::move_only_function<void(const Result<ArtifactPtr>&)>;
  struct Waiter {
    std::string asker;
    Resume resume;
  };
  // An artifact that callers wait for.
  struct Flight {
    WantedArtifact wanted;
    std::vector<Waiter> waiters;
    std::set<std::string> queued;  // askers with a job in the lane
    bool is_made = false;          // currently
  };

  Result<ArtifactPair> pair_of(const WantedArtifact& wanted) const;
  Result<ArtifactPtr> make(const WantedArtifact& wanted);
  void join(const Hash& key, WantedArtifact wanted, Waiter waiter);
  // Runs when the turn of an asker with a job in the lane has come.
  void fly(const Hash& key);
  // Handles the lane's refusal for this asker; others may still have a job there.
  void leave(const Hash& key, const std::string& asker, const Error& error);
  void land(const Hash& key, const Result<ArtifactPtr>& outcome);

  ReleaseSource& releases_;
  ArtifactCache& cache_;
  FairLane& lane_;
  std::atomic<uint64_t> joined_{0};

  Mutex mutex_;
  std::unordered_map<Hash, Flight, HashOfHash> flights_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::serve
