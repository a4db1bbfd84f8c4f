// Decides what the PDP should activate, and what to try next after a refusal. Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/gate_rules.hpp"
#include "notp-client/agent/core/rejections.hpp"

namespace notp::agent {

class Activation {
 public:
  // Everything that `parts` names outlives this object.
  explicit Activation(CoreParts parts) : parts_(parts) {}

  // Returns the best release of each ledger that is usable together with the others. Valid until
  // the next call of this object.
  const Selection& wanted();
  // Yields an Activate if the wanted state differs from what the PDP decides with and from what it
  // was given. `again`: also if it was given the same before.
  void update(bool again);

  // The PDP decides with `state` now.
  void on_activated(const DesiredState& state);
  // The PDP refuses `state`, or a gate holds a release of it.
  void on_rejected(const DesiredState& state, const Error& error);
  // False: the event is not about what the PDP should activate.
  bool take(const session::ClientEvent& event);
  // `release` was stored. If it has a gate, what the PDP decides with is to be known after a
  // restart.
  void on_stored(const store::StoredRelease& release);
  // `state` could not be read from the store: it is not retried until something changes.
  void on_unreadable(const DesiredState& state);
  // Clears earlier failures, because a release stored since may make them succeed.
  void forget_failures();
  // The state that was given to the PDP and has no outcome yet; null: none.
  const DesiredState* in_flight() const { return in_flight_ ? &*in_flight_ : nullptr; }
  // The state that failed when nothing better was left to try; null: none.
  const DesiredState* failed() const { return failed_ ? &*failed_ : nullptr; }

 private:
  Selection select(const std::vector<LedgerCandidates>& candidates) const;
  // Changes the first ledger whose wanted release differs from the known good one, and keeps the
  // known good releases of the others; nullopt: none differs.
  std::optional<Selection> one_change(const Selection& all) const;
  Selection one_change(const model::LedgerId& change, const Pick& pick, const Versions& good) const;
  // What has to be decided with before the gates of `state` may judge: all else of it. So a gate
  // delays nothing else, and a node decides from its start on. nullopt: that is so, or cannot be.
  std::optional<DesiredState> before_gates(const DesiredState& state) const;
  // The ledgers of `state` whose release has to pass its gate; `judged`: and can be compared with
  // what the PDP decides with now.
  std::set<model::LedgerId> gated(const DesiredState& state) const;
  std::set<model::LedgerId> judged(const DesiredState& state) const;
  // The state to activate in place of one that failed; nullopt: the PDP already has it.
  std::optional<DesiredState> next_state(DesiredState wanted, bool again);
  // Whether the PDP was given what is known of the sources of keys. While gates judge it counts as
  // given: they would begin again.
  bool has_sources() const;
  void hand_over(DesiredState state);
  // Reports newly found releases that other ledgers keep from being activated.
  void report_kept_back(const std::map<model::LedgerId, Refused>& refused);
  // False: the findings name no release that uses others.
  bool reject_users(const DesiredState& state, const Error& error);
  bool reject_user(const DesiredState& state, const model::LedgerId& ledger, const Error& error);
  void quarantine(const model::LedgerId& ledger, uint64_t version, const Error& error);
  void set_failed(const DesiredState& state, bool is_refused);
  void confirm(const model::LedgerId& ledger, uint64_t version);
  // A person lets go what the gate holds.
  void release_held(const model::LedgerId& ledger, uint64_t version);
  GateView gate_view() const { return {parts_.releases, in_flight()}; }
  bool is_in_flight(const DesiredState& state) const {
    return in_flight_ && same_desired_state(*in_flight_, state);
  }

  const CoreParts parts_;
  Rejections rejections_;
  // Every event asks for it, and few change what it depends on: the releases and the rejections.
  std::optional<Selection> wanted_;
  uint64_t wanted_at_ = 0;                 // revision of the releases
  std::optional<DesiredState> in_flight_;  // handed to the PDP, no outcome yet
  std::set<model::LedgerId> judged_;       // the ledgers of it whose gates judge
  // What the PDP was last given of the sources of keys, with whatever state.
  std::shared_ptr<const wire::SourceStatus> given_sources_;
  std::optional<DesiredState> failed_;  // not retried on its own
  // The PDP's active releases with their present freshness, if that failed while failed_ did.
  std::optional<DesiredState> failed_aged_;
  bool is_refused_ = false;  // by the PDP: what failed last
  bool bisecting_ = false;   // after a refusal of several changes at once: single changes
};

}  // namespace notp::agent
