#include "notp-client/agent/core/local_releases.hpp"

#include <algorithm>

namespace notp::agent {

LocalReleases::LocalReleases(std::vector<model::LedgerId> ledgers, store::StoreState state,
                             AgentTrust& trust)
    : ledgers_(std::move(ledgers)), trust_(trust) {
  for (const model::LedgerId& ledger : ledgers_) {
    LedgerState& local = states_[ledger];
    if (const auto stored = state.ledgers.find(ledger); stored != state.ledgers.end())
      local.releases = std::move(stored->second.releases);
  }
  for (const auto& [ledger, local] : states_) sorted_ledgers_.push_back(ledger);
  for (const auto& [ledger, stored] : state.ledgers)
    if (!follows(ledger)) left_ledgers_.push_back(ledger);
}

const store::StoredRelease* LocalReleases::newest(const model::LedgerId& ledger) const {
  const auto& releases = of(ledger);
  return releases.empty() ? nullptr : &releases.front();
}

const store::StoredRelease* LocalReleases::find(const model::LedgerId& ledger,
                                                uint64_t version) const {
  const auto& releases = of(ledger);
  const auto found = std::ranges::find(releases, version, store::version_of);
  return found == releases.end() ? nullptr : &*found;
}

store::StoredRelease* LocalReleases::find_mutable(const model::LedgerId& ledger, uint64_t version) {
  auto& releases = states_.at(ledger).releases;
  const auto found = std::ranges::find(releases, version, store::version_of);
  return found == releases.end() ? nullptr : &*found;
}

const store::StoredRelease* LocalReleases::last_good(const LedgerState& state) {
  const auto good = std::ranges::find_if(state.releases, [&](const store::StoredRelease& r) {
    return r.confirmed && !r.quarantined && !state.unreadable.contains(r.ref.version);
  });
  return good == state.releases.end() ? nullptr : &*good;
}

std::vector<const store::StoredRelease*> LocalReleases::usable(
    const model::LedgerId& ledger) const {
  const auto& [releases, unreadable] = states_.at(ledger);
  std::vector<const store::StoredRelease*> out;
  if (!releases.empty() && !releases.front().quarantined) out.push_back(&releases.front());
  // A crash forgets what the PDP had confirmed, but not what was verified: the PDP is asked again.
  for (const bool confirmed : {true, false})
    for (const store::StoredRelease& release : releases)
      if (&release != &releases.front() && release.confirmed == confirmed && !release.quarantined &&
          !unreadable.contains(release.ref.version))
        out.push_back(&release);
  return out;
}

LedgerCandidates LocalReleases::candidates(
    const model::LedgerId& ledger, const std::vector<const store::StoredRelease*>& releases) const {
  LedgerCandidates out{ledger, {}};
  for (const store::StoredRelease* release : releases) {
    const AgentTrust::Scope& scope = trust_.scope(ledger, release->ref.release_hash);
    out.candidates.push_back({release->ref.version, &scope.data_roots, &scope.uses});
  }
  return out;
}

void LocalReleases::add(store::StoredRelease release, const std::set<uint64_t>& kept_versions) {
  const model::LedgerId ledger = release.ref.ledger;
  if (const DesiredRelease* decided = active(ledger))
    if (store::StoredRelease* confirmed = find_mutable(ledger, decided->version))
      confirmed->confirmed |= !decided->freshness_status.denies();
  ++revision_;
  auto& releases = states_.at(ledger).releases;
  // Fetched again because of damage, as the store does.
  if (const store::StoredRelease* const before = find(ledger, release.ref.version);
      before && before->ref.release_hash == release.ref.release_hash) {
    release.confirmed = before->confirmed;
    release.released = before->released;
    release.held = before->held;
    if (release.held) {
      release.quarantined = true;
      release.error = before->error;
    }
  }
  std::erase_if(releases, [&](const store::StoredRelease& each) {
    if (each.ref.version == release.ref.version) return true;
    if (kept_versions.contains(each.ref.version)) return false;
    trust_.forget(ledger, each.ref.release_hash);
    return true;
  });
  releases.insert(releases.begin(), std::move(release));
}

bool LocalReleases::quarantine(const model::LedgerId& ledger, uint64_t version,
                               const Error& error) {
  store::StoredRelease* release = find_mutable(ledger, version);
  if (!release) return false;
  ++revision_;
  release->quarantined = true;
  release->held = error.code == ErrorCode::kGateHeld;
  release->error = error.message;
  return true;
}

bool LocalReleases::release_held(const model::LedgerId& ledger, uint64_t version) {
  store::StoredRelease* release = find_mutable(ledger, version);
  if (!release || !release->held) return false;
  ++revision_;
  release->quarantined = release->held = false;
  release->released = true;
  release->error.clear();
  return true;
}

bool LocalReleases::confirm(const model::LedgerId& ledger, uint64_t version) {
  store::StoredRelease* release = find_mutable(ledger, version);
  if (!release || std::exchange(release->confirmed, true)) return false;
  ++revision_;
  return true;
}

void LocalReleases::mark_unreadable(const model::LedgerId& ledger, uint64_t version) {
  ++revision_;
  states_.at(ledger).unreadable.insert(version);
}

FreshnessForecast LocalReleases::forecast(const model::LedgerId& ledger, uint64_t version) const {
  const store::StoredRelease* release = find(ledger, version);
  return release ? trust_.forecast(ledger, release->ref.release_hash) : FreshnessForecast{};
}

DesiredState LocalReleases::desired(const Picks& picks) const {
  DesiredState state;
  for (const auto& [ledger, pick] : picks) {
    // A PDP may have confirmed a release that was dropped since.
    const store::StoredRelease* stored = find(ledger, pick.version);
    if (!stored) continue;
    DesiredRelease release{pick.version, stored->ref.release_hash,
                           trust_.forecast(ledger, stored->ref.release_hash).freshness_status};
    release.freshness_status.withheld = pick.withheld;
    state.emplace(ledger, release);
  }
  return state;
}

const DesiredRelease* LocalReleases::active(const model::LedgerId& ledger) const {
  const auto found = active_.find(ledger);
  return found == active_.end() ? nullptr : &found->second;
}

std::optional<trust::FreshnessState> LocalReleases::active_freshness(
    const model::LedgerId& ledger) const {
  const DesiredRelease* decided = active(ledger);
  if (!decided) return std::nullopt;
  return forecast(ledger, decided->version).freshness_status.state;
}

// If the freshness status denies, the PDP accepted only the release's data roots.
Versions LocalReleases::proven() const {
  Versions out;
  for (const auto& [ledger, release] : active_)
    if (!release.freshness_status.denies()) out.emplace(ledger, release.version);
  return out;
}

std::optional<uint64_t> LocalReleases::proven(const model::LedgerId& ledger) const {
  const DesiredRelease* decided = active(ledger);
  if (!decided || decided->freshness_status.denies()) return std::nullopt;
  return decided->version;
}

Versions LocalReleases::known_good() const {
  Versions good = proven();
  for (const auto& [ledger, state] : states_) {
    if (good.contains(ledger)) continue;
    if (const store::StoredRelease* release = last_good(state))
      good.emplace(ledger, release->ref.version);
  }
  return good;
}

}  // namespace notp::agent
