#include "notp-client/agent/core/gate_rules.hpp"

#include <utility>

namespace notp::agent {
namespace {

// Versions begin again with an epoch.
std::pair<uint64_t, uint64_t> place_of(const store::StoredRelease& release) {
  return {release.ref.epoch, release.ref.version};
}

bool gives_decisions(const GateView& view, const store::StoredRelease& release) {
  const trust::FreshnessStatus now =
      view.releases.forecast(release.ref.ledger, release.ref.version).freshness_status;
  return !now.denies() && !now.withdrawn;
}

// What the PDP was given; nullptr: nothing of the ledger that it will decide with, or the
// candidate. What was withdrawn on the way has decided nothing: the release before it counts.
const store::StoredRelease* given(const GateView& view, const store::StoredRelease& candidate) {
  if (!view.in_flight) return nullptr;
  const auto found = view.in_flight->find(candidate.ref.ledger);
  if (found == view.in_flight->end() || found->second.freshness_status.denies() ||
      found->second.version == candidate.ref.version)
    return nullptr;
  const store::StoredRelease* const release =
      view.releases.find(candidate.ref.ledger, found->second.version);
  return release && gives_decisions(view, *release) ? release : nullptr;
}

const store::StoredRelease* decided_with(const GateView& view,
                                         const store::StoredRelease& candidate) {
  const model::LedgerId& ledger = candidate.ref.ledger;
  if (const DesiredRelease* const active = view.releases.active(ledger))
    return active->freshness_status.denies() ? nullptr
                                             : view.releases.find(ledger, active->version);
  if (const store::StoredRelease* const first = given(view, candidate)) return first;
  return view.releases.last_good(ledger);
}

}  // namespace

const store::StoredRelease* replaced_by(const GateView& view,
                                        const store::StoredRelease& candidate) {
  const store::StoredRelease* const before = decided_with(view, candidate);
  return before && gives_decisions(view, *before) ? before : nullptr;
}

bool must_pass_gate(const GateView& view, const store::StoredRelease& candidate) {
  if (!candidate.has_gate || candidate.released || candidate.confirmed) return false;
  const store::StoredRelease* const before = replaced_by(view, candidate);
  return before && place_of(*before) < place_of(candidate);
}

}  // namespace notp::agent
