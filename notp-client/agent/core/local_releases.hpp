// The releases that a node has stored, and what its PDP decides with. Pure. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "notp-client/agent/core/agent_trust.hpp"
#include "notp-client/agent/core/desired_state.hpp"
#include "notp-client/agent/core/selection.hpp"
#include "notp-client/store/store.hpp"

namespace notp {

class LocalReleases {
 public:
  // `ledgers` in the order of the configuration: an earlier one owns data roots before a later one.
  // `trust` has verified the releases of `state` and outlives this object.
  LocalReleases(std::vector<LedgerId> ledgers, StoreState state, AgentTrust& trust);

  const std::vector<LedgerId>& ledgers() const { return ledgers_; }
  const std::vector<LedgerId>& sorted_ledgers() const { return sorted_ledgers_; }
  // Stored, and not configured any more: to be dropped. Empty when called again.
  std::vector<LedgerId> take_left_ledgers() { return std::exchange(left_ledgers_, {}); }
  // Whether the configuration names it. All methods below take only such ledgers.
  bool follows(const LedgerId& ledger) const { return states_.contains(ledger); }

  // Newest first.
  const std::vector<StoredRelease>& of(const LedgerId& ledger) const {
    return states_.at(ledger).releases;
  }
  // nullptr: none is stored. Valid until the next add().
  const StoredRelease* newest(const LedgerId& ledger) const;
  // nullptr: it is not stored (any more). Valid until the next add().
  const StoredRelease* find(const LedgerId& ledger, uint64_t version) const;
  // What the PDP may decide with of a ledger by itself, best first.
  std::vector<const StoredRelease*> usable(const LedgerId& ledger) const;
  // For select_releases().
  LedgerCandidates candidates(const LedgerId& ledger,
                              const std::vector<const StoredRelease*>& releases) const;

  // The newest release of its ledger from now on, in place of one of the same version; of the older
  // ones, `kept_versions` stay. What the PDP decides with counts as confirmed from now on.
  void add(StoredRelease release, const std::set<uint64_t>& kept_versions);
  // A PDP refused it. False: it is not stored any more.
  bool quarantine(const LedgerId& ledger, uint64_t version, const Error& error);
  // It cannot be read from the store, and no registry sends it again: it is no fallback any more.
  void mark_unreadable(const LedgerId& ledger, uint64_t version);

  // Nothing is known of a release that is not stored.
  FreshnessForecast forecast(const LedgerId& ledger, uint64_t version) const;
  // The picks that are still stored, each with its standing now.
  DesiredState desired(const Picks& picks) const;

  // What the PDP last confirmed in this process.
  const DesiredState& active() const { return active_; }
  const DesiredRelease* active(const LedgerId& ledger) const;
  // Returns what it decided with before.
  DesiredState set_active(DesiredState state) { return std::exchange(active_, std::move(state)); }
  // nullopt: the PDP has confirmed no release of the ledger.
  std::optional<FreshnessState> active_freshness(const LedgerId& ledger) const;
  // What the PDP last confirmed in this process, and was given whole: fit to fall back to.
  Versions proven() const;
  std::optional<uint64_t> proven(const LedgerId& ledger) const;
  // What the PDP is known to accept: proven, else confirmed in an earlier process.
  Versions known_good() const;

 private:
  struct LedgerState {
    std::vector<StoredRelease> releases;  // newest first
    std::set<uint64_t> unreadable;        // older releases
  };
  StoredRelease* find_mutable(const LedgerId& ledger, uint64_t version);
  // The newest release that a PDP has confirmed and that can be read; nullptr: none.
  static const StoredRelease* last_good(const LedgerState& state);

  const std::vector<LedgerId> ledgers_;
  std::vector<LedgerId> sorted_ledgers_;
  std::vector<LedgerId> left_ledgers_;
  AgentTrust& trust_;
  std::map<LedgerId, LedgerState> states_;
  DesiredState active_;
};

}  // namespace notp
