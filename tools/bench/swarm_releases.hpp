// The releases that a swarm's sessions get: each distinct artifact is verified and applied once, by
// the first session that has it, as a node does it; the others only compare the bytes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "common/mutex.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::bench {

// Verified, and with the signed content.
struct SwarmRelease {
  trust::ReleaseRef ref;
  trust::ReleaseEnvelope envelope;
  model::TreePtr tree;
};
using SwarmReleasePtr = std::shared_ptr<const SwarmRelease>;

// Thread-safe.
class SwarmReleases {
 public:
  // The errors of verify_pinned_root().
  static Result<std::unique_ptr<SwarmReleases>> open(ByteView root, const std::string& trust_domain,
                                                     const model::LedgerId& ledger);

  const model::LedgerId& ledger() const { return ledger_; }
  std::shared_ptr<const trust::Root> root() const;
  // The next root of the chain, or one that is known here. The errors of verify_update().
  Result<void> take_root(ByteView envelope);

  // The release of a whole artifact, for a node that holds `base` (null: nothing). The errors of
  // verify_release() and apply_artifact(); kContentRoot; kState when the base is no longer held
  // here.
  Result<SwarmReleasePtr> take(const wire::Offer& offer, Bytes artifact,
                               const SwarmReleasePtr& base);
  uint64_t distinct_artifacts() const;

 private:
  // One artifact that came.
  struct Known {
    uint64_t version = 0, base_version = 0;
    Bytes artifact;
    SwarmReleasePtr release;
  };
  SwarmReleases(std::shared_ptr<const trust::Root> root, model::LedgerId ledger)
      : ledger_(std::move(ledger)), root_(std::move(root)) {}

  Result<SwarmReleasePtr> learn(const wire::Offer& offer, ByteView artifact,
                                const SwarmReleasePtr& base) NOTP_REQUIRES(mutex_);
  void keep(Known known) NOTP_REQUIRES(mutex_);

  const model::LedgerId ledger_;
  mutable Mutex mutex_;
  std::shared_ptr<const trust::Root> root_ NOTP_GUARDED_BY(mutex_);
  std::vector<Bytes> root_chain_ NOTP_GUARDED_BY(mutex_);
  std::deque<Known> known_ NOTP_GUARDED_BY(mutex_);  // newest last
  model::BlobMap blobs_ NOTP_GUARDED_BY(mutex_);
  uint64_t distinct_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::bench
