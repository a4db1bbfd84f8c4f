#include "notp-client/agent/core/activation.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::agent {
namespace {

void put_first(std::vector<const store::StoredRelease*>& releases, uint64_t version) {
  const auto first = std::ranges::find(
      releases, version, [](const store::StoredRelease* each) { return each->ref.version; });
  if (first != releases.end()) std::rotate(releases.begin(), first, first + 1);
}

}  // namespace

Selection Activation::select(const std::vector<LedgerCandidates>& candidates) const {
  return select_releases(
      candidates, [this](const model::LedgerId& ledger, uint64_t version, const Picks& beside) {
        return rejections_.find(ledger, version, beside);
      });
}

const Selection& Activation::wanted() {
  const LocalReleases& releases = parts_.releases;
  if (wanted_ && wanted_at_ == releases.revision()) return *wanted_;
  std::vector<LedgerCandidates> candidates;
  for (const model::LedgerId& ledger : releases.ledgers())
    candidates.push_back(releases.candidates(ledger, releases.usable(ledger)));
  wanted_at_ = releases.revision();
  return wanted_.emplace(select(candidates));
}

std::optional<Selection> Activation::one_change(const Selection& all) const {
  const Versions good = parts_.releases.known_good();
  for (const auto& [change, pick] : all.picks) {
    const auto was = good.find(change);
    if (pick.withheld || (was != good.end() && was->second == pick.version)) continue;
    Selection next = one_change(change, pick, good);
    // Other known good releases may exclude it; then another change is tried.
    const auto picked = next.picks.find(change);
    if (picked == next.picks.end() || picked->second != pick) continue;
    next.refused = all.refused;
    return next;
  }
  return std::nullopt;
}

Selection Activation::one_change(const model::LedgerId& change, const Pick& pick,
                                 const Versions& good) const {
  std::vector<LedgerCandidates> candidates;
  for (const model::LedgerId& ledger : parts_.releases.ledgers()) {
    std::vector<const store::StoredRelease*> usable;
    for (const store::StoredRelease& release : parts_.releases.of(ledger)) {
      const auto known = good.find(ledger);
      if (ledger == change && release.ref.version == pick.version)
        usable.insert(usable.begin(), &release);
      else if (known != good.end() && known->second == release.ref.version)
        usable.push_back(&release);
    }
    candidates.push_back(parts_.releases.candidates(ledger, usable));
  }
  return select(candidates);
}

void Activation::update(bool again) {
  const Selection* selection = &wanted();
  // One change on top of the known good state; the next one follows when this one is decided.
  const std::optional<Selection> change =
      bisecting_ ? one_change(*selection) : std::optional<Selection>();
  bisecting_ = change.has_value();
  if (change) selection = &*change;
  report_kept_back(selection->refused);
  DesiredState state = parts_.releases.desired(selection->picks);
  if (auto before = before_gates(state)) state = *std::move(before);
  if (auto next = next_state(std::move(state), again)) hand_over(*std::move(next));
}

std::set<model::LedgerId> Activation::gated(const DesiredState& state) const {
  std::set<model::LedgerId> out;
  for (const auto& [ledger, release] : state)
    if (!release.freshness_status.denies() &&
        must_pass_gate(gate_view(), *parts_.releases.find(ledger, release.version)))
      out.insert(ledger);
  return out;
}

std::set<model::LedgerId> Activation::judged(const DesiredState& state) const {
  std::set<model::LedgerId> out = gated(state);
  std::erase_if(out,
                [&](const model::LedgerId& ledger) { return !parts_.releases.active(ledger); });
  return out;
}

std::optional<DesiredState> Activation::before_gates(const DesiredState& state) const {
  const std::set<model::LedgerId> gates = gated(state);
  if (gates.empty()) return std::nullopt;
  std::vector<LedgerCandidates> candidates;
  for (const model::LedgerId& ledger : parts_.releases.ledgers()) {
    auto usable = parts_.releases.usable(ledger);
    const auto picked = state.find(ledger);
    if (gates.contains(ledger)) {
      const store::StoredRelease& candidate = *parts_.releases.find(ledger, picked->second.version);
      const uint64_t replaced = replaced_by(gate_view(), candidate)->ref.version;
      std::erase_if(usable, [&](const store::StoredRelease* each) {
        return must_pass_gate(gate_view(), *each);
      });
      put_first(usable, replaced);
    } else if (picked != state.end()) {
      put_first(usable, picked->second.version);
    }
    candidates.push_back(parts_.releases.candidates(ledger, usable));
  }
  DesiredState before = parts_.releases.desired(select(candidates).picks);
  // What the PDP refuses is not waited for. What cannot be read is: either it is fetched again, or
  // it is left out.
  const auto has_failed = [&](const std::optional<DesiredState>& failed) {
    return is_refused_ && failed && same_desired_state(*failed, before);
  };
  if (before.empty() || same_desired_state(parts_.releases.active(), before) ||
      has_failed(failed_) || has_failed(failed_aged_))
    return std::nullopt;
  return before;
}

std::optional<DesiredState> Activation::next_state(DesiredState wanted, bool again) {
  const DesiredState& active = parts_.releases.active();
  const bool has_failed = !again && failed_ && same_desired_state(*failed_, wanted);
  // A failed state is not retried, but the freshness of the active releases still changes: an older
  // release that has expired meanwhile is denied.
  if (has_failed) wanted = parts_.releases.desired(picks_of(active));
  if (wanted.empty()) return std::nullopt;
  // A gate that does not apply any more is not waited for.
  const bool is_given = in_flight_
                            ? same_desired_state(*in_flight_, wanted) && judged(wanted) == judged_
                            : same_desired_state(active, wanted);
  if (!again && is_given && has_sources()) return std::nullopt;
  if (has_failed && failed_aged_ && same_desired_state(*failed_aged_, wanted)) return std::nullopt;
  if (!has_failed) failed_.reset();
  return wanted;
}

bool Activation::has_sources() const {
  const bool are_judging = in_flight_ && !judged_.empty();
  return are_judging || given_sources_ == parts_.releases.sources();
}

void Activation::hand_over(DesiredState state) {
  in_flight_ = state;
  judged_ = judged(state);
  given_sources_ = parts_.releases.sources();
  effect::Activate effect{std::move(state), {}, parts_.trust.now_ms(), given_sources_};
  for (const auto& [ledger, release] : effect.desired) {
    const store::StoredRelease& stored = *parts_.releases.find(ledger, release.version);
    const DesiredRelease* active = parts_.releases.active(ledger);
    effect.releases.emplace(
        ledger, ActivatedRelease{
                    .stored = stored,
                    .freshness_status = release.freshness_status,
                    .data_roots = parts_.trust.scope(ledger, stored.ref.release_hash).data_roots,
                    .is_active = active && active->release_hash == stored.ref.release_hash,
                    .is_gated = judged_.contains(ledger)});
  }
  parts_.effects.push_back(std::move(effect));
}

void Activation::report_kept_back(const std::map<model::LedgerId, Refused>& refused) {
  for (const model::LedgerId& ledger : parts_.releases.sorted_ledgers()) {
    const auto found = refused.find(ledger);
    const bool is_refused = found != refused.end();
    if (!parts_.reports.set_kept_back(ledger,
                                      is_refused ? std::optional(found->second) : std::nullopt))
      continue;
    if (is_refused)
      parts_.effects.push_back(effect::Changed{ledger, found->second.version,
                                               wire::CommitState::kRejected,
                                               found->second.error.message});
    parts_.reports.report_ledger(ledger);
  }
}

void Activation::forget_failures() {
  failed_.reset();
  failed_aged_.reset();
}

void Activation::set_failed(const DesiredState& state, bool is_refused) {
  is_refused_ = is_refused;
  // If another state failed before it, this one held the active releases with their present
  // freshness.
  const bool is_aged = failed_ && picks_of(state) == picks_of(parts_.releases.active());
  (is_aged ? failed_aged_ : failed_) = state;
}

void Activation::on_activated(const DesiredState& state) {
  const DesiredState before = parts_.releases.set_active(state);
  if (is_in_flight(state)) in_flight_.reset();
  for (const auto& [ledger, release] : state) {
    const store::StoredRelease* const stored = parts_.releases.find(ledger, release.version);
    if (stored && stored->has_gate && !release.freshness_status.denies())
      confirm(ledger, release.version);
    const auto was = before.find(ledger);
    const bool is_same = was != before.end() && was->second.version == release.version &&
                         was->second.freshness_status.withheld == release.freshness_status.withheld;
    if (is_same || release.freshness_status.withheld) continue;
    const store::StoredRelease* newest = parts_.releases.newest(ledger);
    if (newest && newest->ref.version == release.version) parts_.reports.drop_stored_report(ledger);
    parts_.effects.push_back(
        effect::Changed{ledger, release.version, wire::CommitState::kActive, {}});
    parts_.reports.set_freshness(ledger, parts_.releases.active_freshness(ledger));
    parts_.reports.clear_path_quarantines(ledger);
    // For a refused newest release both are reported, the refusal last: the fleet shows the last
    // report.
    parts_.reports.report_ledger(ledger);
  }
  update(/*again=*/false);
}

// Durable with the next installation otherwise, which is too late for a gate: a restart would not
// know what the gated release replaces, or that it has passed.
void Activation::confirm(const model::LedgerId& ledger, uint64_t version) {
  if (parts_.releases.confirm(ledger, version))
    parts_.effects.push_back(effect::Persist{store::change::Confirm{ledger, version}});
}

void Activation::on_stored(const store::StoredRelease& release) {
  const auto active = parts_.releases.proven(release.ref.ledger);
  if (release.has_gate && active) confirm(release.ref.ledger, *active);
}

bool Activation::take(const session::ClientEvent& event) {
  const auto* const let_go = std::get_if<session::client_event::HeldReleased>(&event);
  if (!let_go) return false;
  if (parts_.releases.follows(let_go->release.ledger))
    release_held(let_go->release.ledger, let_go->release.version);
  return true;
}

void Activation::release_held(const model::LedgerId& ledger, uint64_t version) {
  if (!parts_.releases.release_held(ledger, version)) return;
  parts_.effects.push_back(effect::Persist{store::change::Release{ledger, version}});
  forget_failures();
  update(/*again=*/false);
}

void Activation::on_unreadable(const DesiredState& state) {
  if (is_in_flight(state)) in_flight_.reset();
  set_failed(state, /*is_refused=*/false);
}

bool Activation::reject_users(const DesiredState& state, const Error& error) {
  bool any = false;
  for (const auto& [ledger, release] : state) any |= reject_user(state, ledger, error);
  return any;
}

bool Activation::reject_user(const DesiredState& state, const model::LedgerId& ledger,
                             const Error& error) {
  const DesiredRelease& release = state.at(ledger);
  if (release.freshness_status.denies() || !names_ledger(ledger, error.message)) return false;
  const store::StoredRelease* stored = parts_.releases.find(ledger, release.version);
  if (!stored) return false;
  const auto& uses = parts_.trust.scope(ledger, stored->ref.release_hash).uses;
  if (uses.empty()) return false;
  Rejection rejection{release.version, {}, error};
  std::string names;
  for (const model::LedgerUse& use : uses) {
    const auto used = state.find(use.ledger);
    if (used == state.end()) continue;
    rejection.beside[use.ledger] = used->second.version;
    names +=
        fmt::format("{}{} v{}", names.empty() ? "" : ", ", use.ledger.text(), used->second.version);
  }
  rejection.error = Error(error).in(
      fmt::format("{} v{} does not compile beside {}", ledger.text(), release.version, names));
  rejections_.keep(ledger, std::move(rejection), parts_.releases);
  wanted_.reset();
  return true;
}

void Activation::on_rejected(const DesiredState& state, const Error& error) {
  // A refusal of a superseded state does not concern what is wanted now.
  if (!is_in_flight(state)) return;
  in_flight_.reset();
  // What a gate says is about decisions, not about files.
  if (error.code != ErrorCode::kGateHeld && reject_users(state, error))
    return update(/*again=*/true);
  const Versions good = parts_.releases.known_good();
  std::vector<model::LedgerId> changed;
  for (const auto& [ledger, release] : state) {
    const auto was = good.find(ledger);
    if (release.freshness_status.withheld) continue;
    if (was == good.end() || was->second != release.version) changed.push_back(ledger);
  }
  if (changed.size() == 1) {
    quarantine(changed.front(), state.at(changed.front()).version, error);
  } else if (changed.size() > 1 && !bisecting_) {
    bisecting_ = true;
  } else {
    // The PDP refuses what it once accepted, and there is no alternative. It is reported, and the
    // next release is tried when it arrives.
    bisecting_ = false;
    set_failed(state, /*is_refused=*/true);
    for (const auto& [ledger, release] : state)
      parts_.reports.report(ledger, release.version, wire::CommitState::kRejected, &error);
    return parts_.alarms.raise(error);
  }
  update(/*again=*/true);
}

void Activation::quarantine(const model::LedgerId& ledger, uint64_t version, const Error& error) {
  if (!parts_.releases.quarantine(ledger, version, error)) return;
  parts_.effects.push_back(effect::Persist{store::change::Quarantine{ledger, version, error}});
  parts_.effects.push_back(
      effect::Changed{ledger, version, wire::CommitState::kRejected, error.message});
  // The registry first learns that the node holds the release, then that its PDP refused it: the
  // next delta starts from it.
  parts_.reports.report_stored_now(ledger, version);
  parts_.reports.report(ledger, version, wire::CommitState::kRejected, &error);
}

}  // namespace notp::agent
