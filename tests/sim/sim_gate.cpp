#include "tests/sim/sim_gate.hpp"

#include <fmt/format.h>

#include "notp-client/agent/core/gate_tally.hpp"

namespace notp::sim {
namespace {

constexpr size_t kDecisionsKept = 150, kDecisionsAtOnce = 50, kKinds = 64;
constexpr TimeMs kPersonMs = 20'000;  // until someone has looked at what is held

bool allows(const PublishedRelease& release, uint8_t kind) {
  return ((release.outcomes >> kind) & 1) != 0;
}

std::pair<uint64_t, uint64_t> place_of(const PublishedRelease& release) {
  return {release.release.epoch, release.release.version};
}

}  // namespace

void SimGate::decide(size_t node, const PublishedRelease& release) {
  auto& decisions = decisions_[{node, release.release.ledger}];
  for (size_t i = 0; i < kDecisionsAtOnce; ++i) {
    const auto kind = static_cast<uint8_t>(world_.random().below(kKinds));
    decisions.push_back({kind, allows(release, kind)});
  }
  while (decisions.size() > kDecisionsKept) decisions.pop_front();
}

void SimGate::activated(size_t node, const PublishedRelease& release) {
  decided_.emplace(node, release.hash);
}

// --- what has to be judged

void SimGate::check(const GateSite& site, const agent::effect::Activate& what) {
  for (const auto& [ledger, activated] : what.releases) {
    const PublishedRelease* const candidate =
        registry_.signed_by_publisher(activated.stored.ref.release_hash);
    if (!candidate) continue;
    if (activated.is_gated)
      check_gated(site, *candidate, activated.stored.released);
    else if (candidate->gate && !what.desired.at(ledger).freshness_status.denies())
      check_ungated(site, *candidate);
  }
}

void SimGate::violation(const GateSite& site, const PublishedRelease& candidate,
                        std::string_view text) {
  world_.violation(site.node, fmt::format("{} v{} {}", candidate.release.ledger.text(),
                                          candidate.release.version, text));
}

void SimGate::check_gated(const GateSite& site, const PublishedRelease& candidate,
                          bool was_released) {
  const auto stored = site.stored.ledgers.find(candidate.release.ledger);
  if (stored != site.stored.ledgers.end())
    for (const store::StoredRelease& release : stored->second.releases)
      was_released |= release.released && release.ref.release_hash == candidate.hash;
  if (was_released) violation(site, candidate, "is judged although a person let it go");
  const PublishedRelease* const before = site.decides(candidate.release.ledger).value_or(nullptr);
  if (!before) return violation(site, candidate, "is judged and replaces nothing");
  if (site.is_withdrawn(*before))
    violation(site, candidate, "is judged and replaces what is withdrawn");
  if (place_of(*before) > place_of(candidate))
    violation(site, candidate, "is judged and is a way back");
}

void SimGate::check_ungated(const GateSite& site, const PublishedRelease& candidate) {
  const Place place{site.node, candidate.release.ledger};
  if (ordered_.contains({place, candidate.release.version}) ||
      decided_.contains({site.node, candidate.hash}))
    return;
  const PublishedRelease* const before = replaced(site, candidate);
  if (before && place_of(*before) < place_of(candidate))
    violation(site, candidate,
              fmt::format("replaces v{} and passes no gate", before->release.version));
}

const PublishedRelease* SimGate::replaced(const GateSite& site,
                                          const PublishedRelease& candidate) const {
  const model::LedgerId& ledger = candidate.release.ledger;
  const auto counts = [&](const PublishedRelease* before) {
    return before && !site.is_denied(*before) && !site.is_withdrawn(*before);
  };
  if (const auto now = site.decides(ledger)) return counts(*now) ? *now : nullptr;
  // After a restart: what the store says that was decided with.
  const auto stored = site.stored.ledgers.find(ledger);
  if (stored == site.stored.ledgers.end()) return nullptr;
  for (const store::StoredRelease& release : stored->second.releases) {
    const PublishedRelease* const before = registry_.signed_by_publisher(release.ref.release_hash);
    if (!before || release.quarantined || before->hash == candidate.hash) continue;
    // It decides before the candidate arrives, or not.
    if (!release.confirmed && site.is_withdrawn(*before)) return nullptr;
    if (release.confirmed)
      // How old it is for the node cannot be told from here.
      return before->release.on_hard == trust::OnHard::kServe && counts(before) &&
                     site.is_readable(*before)
                 ? before
                 : nullptr;
  }
  return nullptr;
}

// --- judgements

std::optional<Error> SimGate::judge(const GateSite& site, const agent::effect::Activate& what) {
  for (const auto& [ledger, activated] : what.releases) {
    const PublishedRelease* const candidate =
        registry_.signed_by_publisher(activated.stored.ref.release_hash);
    if (!activated.is_gated || !candidate) continue;
    check_gated(site, *candidate, activated.stored.released);
    if (!candidate->gate) continue;
    if (auto held = judge_one(site.node, *candidate)) return held;
  }
  return std::nullopt;
}

std::optional<Error> SimGate::judge_one(size_t node, const PublishedRelease& candidate) {
  agent::GateTally tally;
  for (const Decision& decision : decisions_[{node, candidate.release.ledger}]) {
    if (allows(candidate, decision.kind) == decision.allow)
      tally.add_same();
    else
      tally.add_different({.decision_id = fmt::format("{}", decision.kind),
                           .path = "allow",
                           .before = decision.allow ? "true" : "false",
                           .now = decision.allow ? "false" : "true"});
  }
  const agent::GateJudgement judgement = tally.judgement(*candidate.gate);
  ++(judgement == agent::GateJudgement::kHolds    ? held_
     : judgement == agent::GateJudgement::kPasses ? passed_
                                                  : few_);
  world_.note("gate", node,
              fmt::format("{} v{}: {} of {} differ", candidate.release.ledger.text(),
                          candidate.release.version, tally.differing, tally.comparable));
  if (judgement != agent::GateJudgement::kHolds) return std::nullopt;
  return agent::gate_held(candidate.release.ledger, candidate.release.version, tally,
                          *candidate.gate);
}

// --- the registry, and who looks after it

bool SimGate::reported(size_t node, const wire::Commit& commit) {
  const Place place{node, commit.ledger};
  if (commit.state != wire::CommitState::kRejected ||
      error_code_from_wire(commit.code) != ErrorCode::kGateHeld)
    return false;
  if (ordered_.contains({place, commit.version})) return true;
  if (!waiting_.emplace(place, commit.version).second) return false;
  world_.at(world_.between(500, kPersonMs), [this, place, version = commit.version] {
    ordered_.emplace(place, version);
    ++released_;
    world_.note("let go", place.first, fmt::format("{} v{}", place.second.text(), version));
    on_release(place.first, {place.second, version});
  });
  return false;
}

void SimGate::count(Verdict& verdict) const {
  verdict.gates_passed = passed_;
  verdict.gates_held = held_;
  verdict.gates_few = few_;
  verdict.gates_released = released_;
}

}  // namespace notp::sim
