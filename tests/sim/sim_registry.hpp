// The registry of a simulation: published releases in memory behind the real server sessions.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "common/random.hpp"
#include "protocol/delta/artifact.hpp"
#include "protocol/session/server_session.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::sim {

inline constexpr std::string_view kTrustDomain = "sim.internal";

struct PublishedRelease {
  Release release;
  Hash hash;
  Bytes envelope;
  ModelContent content;
  bool pdp_refuses = false;
};

class SimRegistry {
 public:
  SimRegistry(std::vector<LedgerId> ledgers, SeededRandom& random);

  // Signs and publishes a random change of the ledger's newest content.
  const PublishedRelease& publish(const LedgerId& ledger, TimeMs now_ms);

  const PublishedRelease* find(const LedgerId& ledger, uint64_t version) const;
  const PublishedRelease* head(const LedgerId& ledger) const;
  // Is there a published release of the ledger with this version and release hash?
  bool published(const LedgerId& ledger, uint64_t version, const Hash& release) const;
  // Computed once for a pair, as the real cache does.
  Result<Content> artifact(const LedgerId& ledger, uint64_t base, uint64_t version);

  const std::vector<LedgerId>& ledgers() const { return ledgers_; }
  std::shared_ptr<const Root> root() const { return root_; }
  const Bytes& root_envelope() const { return root_envelope_; }

 private:
  ModelContent change(const ModelContent& content);

  const std::vector<LedgerId> ledgers_;
  SeededRandom& random_;
  PrivateKey publisher_key_;
  std::shared_ptr<const Root> root_;
  Bytes root_envelope_;
  std::map<LedgerId, std::vector<PublishedRelease>> releases_;  // version n at index n - 1
  std::map<std::tuple<LedgerId, uint64_t, uint64_t>, Content> artifacts_;
};

// What one session sees of the registry. `held_back` hides that many of the newest releases: a
// replica that lags, a restored backup or an attacker's freeze look like this.
class SimCatalog final : public Catalog {
 public:
  SimCatalog(const SimRegistry& registry, uint64_t held_back)
      : registry_(registry), held_back_(held_back) {}
  std::optional<CatalogEntry> head(const LedgerId& ledger) const override;
  std::optional<CatalogEntry> release(const LedgerId& ledger, uint64_t version) const override;
  std::optional<CatalogEntry> pending(const LedgerId&, uint64_t, const Hash&) const override {
    return std::nullopt;
  }
  std::vector<CatalogRoot> roots_after(uint64_t) const override { return {}; }
  uint64_t newest_root() const override { return registry_.root()->version; }

 private:
  uint64_t newest(const LedgerId& ledger) const;
  const SimRegistry& registry_;
  const uint64_t held_back_;
};

class AllRights final : public SessionRights {
 public:
  Result<void> may(Action, const LedgerId*) const override { return {}; }
};

}  // namespace notp::sim
