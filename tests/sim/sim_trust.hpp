// The keys of a simulated domain and its chain of roots, which grows during a run: root keys,
// publishers and the freshness key are replaced, the epoch is raised.
#pragma once

#include <deque>

#include "common/random.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::sim {

inline constexpr std::string_view kTrustDomain = "sim.internal";
// Publisher of a release that no root authorises.
inline constexpr size_t kNobody = SIZE_MAX;

class SimTrust {
 public:
  explicit SimTrust(SeededRandom& random);

  // Each appends one root, signed by the thresholds of the old and of the new keys.
  void rotate_root_keys(TimeMs now_ms);
  void rotate_publisher(TimeMs now_ms);
  void rotate_freshness_key(TimeMs now_ms);
  void raise_epoch(TimeMs now_ms);

  uint64_t newest() const { return roots_.size(); }
  // The version of this root; 0: nobody made it.
  uint64_t version_of(ByteView envelope) const;
  // Roots above `version` were never shown to anyone: their numbers are free again.
  void forget_after(uint64_t version) { roots_.resize(version); }
  const trust::Root& root() const { return roots_.back().root; }
  const Bytes& envelope(uint64_t version) const { return roots_[version - 1].envelope; }
  // The number of the publisher or freshness key that a root names, 0 for the first.
  size_t publisher(uint64_t root_version) const { return roots_[root_version - 1].publisher; }
  size_t freshness_key(uint64_t root_version) const { return roots_[root_version - 1].freshness; }
  // True if this root allows this publisher to sign a release of this epoch.
  bool authorises(uint64_t root_version, size_t publisher, uint64_t epoch) const;
  // True if any root up to this one does.
  bool ever_authorised(uint64_t root_version, size_t publisher, uint64_t epoch) const;

  // kNobody signs with a key that no root names.
  void sign_release(trust::Envelope& envelope, size_t publisher) const;
  Bytes sign_freshness(const trust::Freshness& freshness, size_t key) const;
  // Returns the envelope.
  Bytes sign_assignment(const trust::Assignment& assignment, size_t key) const;
  // The root after `version` as made by a thief: signed by `stolen` of the genuine root keys, fewer
  // than the threshold.
  Bytes forged_root(uint64_t version, size_t stolen) const;

 private:
  struct Link {
    trust::Root root = {};
    Bytes envelope;
    std::vector<size_t> signers;  // of root_keys_
    size_t publisher = 0, freshness = 0;
  };
  PrivateKey new_key();
  void add_freshness_key();
  Link next(TimeMs now_ms) const;
  void append(Link link);

  SeededRandom& random_;
  std::deque<PrivateKey> root_keys_, publishers_, freshness_keys_;
  std::vector<PublicKey> freshness_public_keys_;  // of freshness_keys_
  PrivateKey foreign_key_, foreign_publisher_;
  std::deque<Link> roots_;  // version n at index n - 1
};

}  // namespace notp::sim
