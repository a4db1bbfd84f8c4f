// What the PDP should decide with, and what to try next when it refuses. Pure. One thread.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "notp-client/agent/core/core_parts.hpp"
#include "notp-client/agent/core/rejections.hpp"

namespace notp {

class Activation {
 public:
  // All that `parts` names outlives this object.
  explicit Activation(CoreParts parts) : parts_(parts) {}

  // The best release of each ledger that can be decided with beside the others.
  Selection wanted() const;
  // Yields an Activate if the PDP should decide with something else than it does, or was given.
  // `again`: also if it was given the same before.
  void update(bool again);

  // The PDP decides with `state` now.
  void on_activated(const DesiredState& state);
  // The PDP refuses `state`.
  void on_rejected(const DesiredState& state, const Error& error);
  // `state` could not be read from the store: it is not tried again until something changes.
  void on_unreadable(const DesiredState& state);
  // Whatever failed before may work with a release that was stored meanwhile.
  void forget_failures();
  // What the PDP was given and has not answered for yet; null: nothing.
  const DesiredState* in_flight() const { return in_flight_ ? &*in_flight_ : nullptr; }
  // What failed, with nothing better to offer; null: nothing.
  const DesiredState* failed() const { return failed_ ? &*failed_ : nullptr; }

 private:
  Selection select(const std::vector<LedgerCandidates>& candidates) const;
  // The first ledger whose wanted release differs from what is known to work, on top of all that
  // is; nullopt: there is none.
  std::optional<Selection> one_change(const Selection& all) const;
  Selection one_change(const LedgerId& change, const Pick& pick, const Versions& good) const;
  // What to activate instead of a state that failed; nullopt: nothing differs from what the PDP
  // has.
  std::optional<DesiredState> next_state(DesiredState wanted, bool again);
  void hand_over(DesiredState state);
  // Reports what is new about releases that others keep from being decided with.
  void report_kept_back(const std::map<LedgerId, Refused>& refused);
  // False: the findings name no release that uses others.
  bool reject_users(const DesiredState& state, const Error& error);
  bool reject_user(const DesiredState& state, const LedgerId& ledger, const Error& error);
  void quarantine(const LedgerId& ledger, uint64_t version, const Error& error);
  void set_failed(const DesiredState& state);
  bool is_in_flight(const DesiredState& state) const {
    return in_flight_ && same_desired_state(*in_flight_, state);
  }

  const CoreParts parts_;
  Rejections rejections_;
  std::optional<DesiredState> in_flight_;  // handed to the PDP, no outcome yet
  std::optional<DesiredState> failed_;     // not tried again by itself
  // What the PDP decides with, in its present standing, if that failed while failed_ did.
  std::optional<DesiredState> failed_aged_;
  bool bisecting_ = false;  // after a refusal of several changes at once: one change at a time
};

}  // namespace notp
