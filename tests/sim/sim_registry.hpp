// A simulated registry: releases in memory, withdrawals, and the domain's roots.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "common/random.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/session/server/artifact_base.hpp"
#include "tests/sim/sim_trust.hpp"

namespace notp::sim {

struct PublishedRelease {
  trust::Release release;
  Hash hash;
  Bytes envelope;
  model::ModelContent content;
  delta::LeafIndexPtr leaves;  // of the content
  size_t publisher = 0;        // whose key signed it, numbered as in SimTrust
  bool pdp_refuses = false;
  uint64_t outcomes = 0;                 // for each kind of question a bit: whether it allows
  std::optional<model::GateTerms> gate;  // of its manifest
};

// The publishers' choices, in seconds: a span from the lowest to the highest.
struct SimTerms {
  uint64_t fresh_min_s = 20, fresh_max_s = 40;
  uint64_t hard_min_s = 40, hard_max_s = 100;
};

class SimRegistry {
 public:
  // Forged releases, by ledger and version, that replace the genuine ones.
  using Shadow = std::map<std::pair<model::LedgerId, uint64_t>, PublishedRelease>;

  SimRegistry(std::vector<model::LedgerId> ledgers, SimTerms terms, SeededRandom& random);

  // Signs and publishes a random change of the ledger's newest content.
  const PublishedRelease& publish(const model::LedgerId& ledger, TimeMs now_ms,
                                  bool pdp_may_refuse);
  void withdraw(const PublishedRelease& release) {
    withdrawn_[release.release.ledger].insert(release.hash);
  }
  bool is_withdrawn(const PublishedRelease& release) const;
  // From now on the reader stays at the head that the ledger has, until it is let go. One that is
  // held already stays where it is.
  void hold(const model::LedgerId& ledger, const std::string& reader);
  void let_go(const model::LedgerId& ledger, const std::string& reader);
  // nullopt: it is not held.
  std::optional<uint64_t> held_at(const model::LedgerId& ledger, std::string_view reader) const;

  // --- a copy of before

  struct Copy {
    std::map<model::LedgerId, size_t> releases;  // how many
    uint64_t root = 0;
  };
  Copy copy() const;
  // Puts the copy in place: the registry lacks what came later, until it is taken back.
  void restore(const Copy& copy);
  // From restore() to confirm(): it vouches for nothing, and publishes nothing.
  bool is_restored() const { return is_restored_; }
  bool has_lost(const model::LedgerId& ledger, uint64_t version) const {
    return lost(ledger, version) != nullptr;
  }
  size_t lost_count() const;
  // A release that it lacks; nullptr: none of that version.
  const PublishedRelease* lost(const model::LedgerId& ledger, uint64_t version) const;
  void take_back(const model::LedgerId& ledger, uint64_t version) { lost_[ledger].erase(version); }
  // The newest root that it has. At most trust().newest().
  uint64_t known_root() const { return lost_root_ == 0 ? trust_.newest() : lost_root_ - 1; }
  void adopt_roots(uint64_t version) { lost_root_ = version == trust_.newest() ? 0 : version + 1; }
  // What it still lacks is gone for good. A version that `was_named` to a node is not used again;
  // any other is.
  using WasNamed = std::function<bool(const model::LedgerId&, uint64_t version)>;
  void forget_lost(const WasNamed& was_named);
  void confirm() { is_restored_ = false; }

  // Makes a second release in the head's place, with other content: signed by the publisher's own
  // key, which a thief has too, or by a key that no root names.
  void make_twin(const model::LedgerId& ledger) {
    shadow_head(ledger, twins_, trust_.publisher(trust_.newest()));
  }
  void make_forgery(const model::LedgerId& ledger) { shadow_head(ledger, forgeries_, kNobody); }
  const Shadow& twins() const { return twins_; }
  const Shadow& forgeries() const { return forgeries_; }

  const PublishedRelease* find(const model::LedgerId& ledger, uint64_t version) const;
  const PublishedRelease* head(const model::LedgerId& ledger) const;
  // The release with this hash, genuine or a twin; an authorised key has signed it.
  const PublishedRelease* signed_by_publisher(const Hash& release) const;
  // The entry of a statement for the ledger when its head is `version`; 0: none.
  trust::FreshHead fresh_head(const model::LedgerId& ledger, uint64_t version) const;
  delta::ReleaseContent side(const PublishedRelease& release) const;
  // Computed once for each pair, as in the real cache. `base` may be null. A peer's inventory is
  // matched with the releases up to the target. nullopt: the inventory cannot be read.
  Result<std::optional<session::PreparedArtifact>> artifact(
      const session::server_event::ArtifactNeeded& need, const PublishedRelease* base,
      const PublishedRelease& target);

  const std::vector<model::LedgerId>& ledgers() const { return ledgers_; }
  const SimTrust& trust() const { return trust_; }
  SimTrust& trust() { return trust_; }

 private:
  const PublishedRelease& publish_anew(PublishedRelease next);
  model::ModelContent change(const model::LedgerId& ledger, const model::ModelContent& content);
  // Chooses what the release decides, and whether it has a gate.
  void choose_gate(PublishedRelease& release, const PublishedRelease* previous);
  void sign(PublishedRelease& release, size_t publisher);
  void shadow_head(const model::LedgerId& ledger, Shadow& shadow, size_t publisher);

  const std::vector<model::LedgerId> ledgers_;
  const SimTerms terms_;
  SeededRandom& random_;
  SimTrust trust_;
  std::map<model::LedgerId, std::deque<PublishedRelease>> releases_;  // version n at index n - 1
  std::map<model::LedgerId, std::set<Hash>> withdrawn_;
  std::map<model::LedgerId, std::map<std::string, uint64_t, std::less<>>> held_;  // by reader
  bool is_restored_ = false;
  std::map<model::LedgerId, std::set<uint64_t>> lost_;  // versions
  uint64_t lost_root_ = 0;                              // the first one that it lacks; 0: none
  std::deque<PublishedRelease> overwritten_;            // releases whose number was used again
  Shadow twins_, forgeries_;
  std::unordered_map<Hash, const PublishedRelease*, HashOfHash> signed_;
  struct MadeArtifact {
    model::Content bytes;
    std::shared_ptr<session::OfferFrames> frames;
  };
  std::unordered_map<Hash, MadeArtifact, HashOfHash> artifacts_;
  model::BlobMap blobs_;  // of all releases
};

}  // namespace notp::sim
