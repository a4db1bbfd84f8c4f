// The releases that a node has stored, and those its PDP decides with. Pure. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/desired_state.hpp"
#include "notp-client/agent/core/selection.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/wire/messages/sources.hpp"

namespace notp::agent {

class LocalReleases {
 public:
  // `ledgers` in the order of the configuration: an earlier one owns data roots before a later one.
  // `trust` has verified the releases of `state` and outlives this object.
  LocalReleases(std::vector<model::LedgerId> ledgers, store::StoreState state, AgentTrust& trust);

  const std::vector<model::LedgerId>& ledgers() const { return ledgers_; }
  const std::vector<model::LedgerId>& sorted_ledgers() const { return sorted_ledgers_; }
  // Returns the stored ledgers that are no longer configured, to be dropped. Empty on later calls.
  std::vector<model::LedgerId> take_left_ledgers() { return std::exchange(left_ledgers_, {}); }
  // Whether the configuration names the ledger. All methods below take only such ledgers.
  bool follows(const model::LedgerId& ledger) const { return states_.contains(ledger); }

  // Newest first.
  const std::vector<store::StoredRelease>& of(const model::LedgerId& ledger) const {
    return states_.at(ledger).releases;
  }
  // nullptr: none is stored. Valid until the next add().
  const store::StoredRelease* newest(const model::LedgerId& ledger) const;
  // nullptr: it is not stored, or no longer. Valid until the next add().
  const store::StoredRelease* find(const model::LedgerId& ledger, uint64_t version) const;
  // Returns the releases of a ledger that the PDP may decide with, other ledgers aside, best first.
  std::vector<const store::StoredRelease*> usable(const model::LedgerId& ledger) const;
  // Differs after every change of what usable() returns.
  uint64_t revision() const { return revision_; }
  // Returns the input for select_releases().
  LedgerCandidates candidates(const model::LedgerId& ledger,
                              const std::vector<const store::StoredRelease*>& releases) const;

  // Makes `release` the newest of its ledger, replacing one of the same version, whose gate has its
  // say for this one, too; of the older ones, `kept_versions` stay. Marks the ledger's active
  // release as confirmed.
  void add(store::StoredRelease release, const std::set<uint64_t>& kept_versions);
  // Marks a release that a PDP refused, or that its gate holds (kGateHeld). False: it is no longer
  // stored.
  bool quarantine(const model::LedgerId& ledger, uint64_t version, const Error& error);
  // The gate does not apply to a release any more that it holds. False: it holds no such release.
  bool release_held(const model::LedgerId& ledger, uint64_t version);
  // A PDP has decided with it, and that will be durable. False: it was marked before, or is no
  // longer stored.
  bool confirm(const model::LedgerId& ledger, uint64_t version);
  // Excludes a release as a fallback: it cannot be read from the store, and no registry sends it
  // again.
  void mark_unreadable(const model::LedgerId& ledger, uint64_t version);

  // A release that is not stored has no forecast.
  FreshnessForecast forecast(const model::LedgerId& ledger, uint64_t version) const;
  // Returns the picks that are still stored, each with its current freshness.
  DesiredState desired(const Picks& picks) const;

  // The state that the PDP last confirmed in this process.
  const DesiredState& active() const { return active_; }
  const DesiredRelease* active(const model::LedgerId& ledger) const;
  // Returns the previous active state.
  DesiredState set_active(DesiredState state) { return std::exchange(active_, std::move(state)); }
  // nullopt: the PDP has confirmed no release of the ledger.
  std::optional<trust::FreshnessState> active_freshness(const model::LedgerId& ledger) const;
  // The registry's last word on the sources of keys, for policies; null: none in this process.
  const std::shared_ptr<const wire::SourceStatus>& sources() const { return sources_; }
  void set_sources(wire::SourceStatus sources) {
    sources_ = std::make_shared<const wire::SourceStatus>(std::move(sources));
  }
  // The versions that the PDP last confirmed in this process and received in full: valid fallbacks.
  Versions proven() const;
  std::optional<uint64_t> proven(const model::LedgerId& ledger) const;
  // The versions that the PDP is known to accept: proven, else confirmed in an earlier process.
  Versions known_good() const;
  // The newest readable release that a PDP has confirmed and that is not quarantined; nullptr:
  // none.
  const store::StoredRelease* last_good(const model::LedgerId& ledger) const {
    return last_good(states_.at(ledger));
  }

 private:
  struct LedgerState {
    std::vector<store::StoredRelease> releases;  // newest first
    std::set<uint64_t> unreadable;               // older releases
  };
  store::StoredRelease* find_mutable(const model::LedgerId& ledger, uint64_t version);
  static const store::StoredRelease* last_good(const LedgerState& state);

  const std::vector<model::LedgerId> ledgers_;
  std::vector<model::LedgerId> sorted_ledgers_;
  std::vector<model::LedgerId> left_ledgers_;
  AgentTrust& trust_;
  std::map<model::LedgerId, LedgerState> states_;
  uint64_t revision_ = 0;
  DesiredState active_;
  std::shared_ptr<const wire::SourceStatus> sources_;
};

}  // namespace notp::agent
