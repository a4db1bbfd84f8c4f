#include "notp-client/agent/core/local_releases.hpp"

#include <algorithm>

// NOTP_PLANTED_…: bugs on demand. A simulation that does not find each of them proves nothing.

namespace notp {

LocalReleases::LocalReleases(std::vector<LedgerId> ledgers, size_t releases_kept, StoreState state,
                             AgentTrust& trust)
    : ledgers_(std::move(ledgers)), releases_kept_(releases_kept), trust_(trust) {
  for (const LedgerId& ledger : ledgers_) {
    LedgerState& local = states_[ledger];
    if (const auto stored = state.ledgers.find(ledger); stored != state.ledgers.end())
      local.releases = std::move(stored->second.releases);
  }
  for (const auto& [ledger, local] : states_) sorted_ledgers_.push_back(ledger);
}

const StoredRelease* LocalReleases::newest(const LedgerId& ledger) const {
  const auto& releases = of(ledger);
  return releases.empty() ? nullptr : &releases.front();
}

const StoredRelease* LocalReleases::find(const LedgerId& ledger, uint64_t version) const {
  const auto& releases = of(ledger);
  const auto found = std::ranges::find(releases, version, &StoredRelease::version);
  return found == releases.end() ? nullptr : &*found;
}

StoredRelease* LocalReleases::find_mutable(const LedgerId& ledger, uint64_t version) {
  auto& releases = states_.at(ledger).releases;
  const auto found = std::ranges::find(releases, version, &StoredRelease::version);
  return found == releases.end() ? nullptr : &*found;
}

const StoredRelease* LocalReleases::last_good(const LedgerState& state) {
  const auto good = std::ranges::find_if(state.releases, [&](const StoredRelease& r) {
    return r.confirmed && !r.quarantined && !state.unreadable.contains(r.version);
  });
  return good == state.releases.end() ? nullptr : &*good;
}

std::vector<const StoredRelease*> LocalReleases::usable(const LedgerId& ledger) const {
  const auto& [releases, unreadable] = states_.at(ledger);
  std::vector<const StoredRelease*> out;
  if (!releases.empty() && !releases.front().quarantined) out.push_back(&releases.front());
  // A crash forgets what the PDP had confirmed, not what was verified: the PDP is asked again.
  for (const bool confirmed : {true, false})
    for (const StoredRelease& release : releases)
      if (&release != &releases.front() && release.confirmed == confirmed && !release.quarantined &&
          !unreadable.contains(release.version))
        out.push_back(&release);
  return out;
}

LedgerCandidates LocalReleases::candidates(
    const LedgerId& ledger, const std::vector<const StoredRelease*>& releases) const {
  LedgerCandidates out{ledger, {}};
  for (const StoredRelease* release : releases) {
    const AgentTrust::Scope& scope = trust_.scope(ledger, release->release);
    out.candidates.push_back({release->version, &scope.roots, &scope.uses});
  }
  return out;
}

void LocalReleases::add(StoredRelease release) {
  const LedgerId ledger = release.ledger;
  if (const DesiredRelease* decided = active(ledger))
    if (StoredRelease* confirmed = find_mutable(ledger, decided->version))
      confirmed->confirmed |= !decided->standing.denies();
  LedgerState& state = states_.at(ledger);
  std::erase_if(state.releases,
                [&](const StoredRelease& r) { return r.version == release.version; });
  state.releases.insert(state.releases.begin(), std::move(release));
  drop_old(ledger, state);
}

// The store has dropped the same ones (Store::swap), except what the PDP still decides with; a base
// that is gone is fetched whole.
void LocalReleases::drop_old(const LedgerId& ledger, LedgerState& state) {
  const auto good = std::ranges::find_if(
      state.releases, [](const StoredRelease& r) { return r.confirmed && !r.quarantined; });
  const uint64_t good_version = good == state.releases.end() ? 0 : good->version;
  const DesiredRelease* decided = active(ledger);
  size_t left = state.releases.size();
  for (size_t i = left; i-- > 1 && left > releases_kept_;) {
    const StoredRelease& release = state.releases[i];
    if (release.version == good_version || (decided && release.version == decided->version))
      continue;
    trust_.forget(ledger, release.release);
    state.releases.erase(state.releases.begin() + static_cast<ptrdiff_t>(i));
    --left;
  }
}

bool LocalReleases::quarantine(const LedgerId& ledger, uint64_t version, const Error& error) {
  StoredRelease* release = find_mutable(ledger, version);
  if (!release) return false;
  release->quarantined = true;
  release->error = error.message;
  return true;
}

void LocalReleases::mark_unreadable(const LedgerId& ledger, uint64_t version) {
  states_.at(ledger).unreadable.insert(version);
}

FreshnessForecast LocalReleases::forecast(const LedgerId& ledger, uint64_t version) const {
  const StoredRelease* release = find(ledger, version);
  return release ? trust_.forecast(ledger, release->release) : FreshnessForecast{};
}

DesiredState LocalReleases::desired(const Picks& picks) const {
  DesiredState state;
  for (const auto& [ledger, pick] : picks) {
    // A PDP may have confirmed what has been dropped since.
    const StoredRelease* stored = find(ledger, pick.version);
    if (!stored) continue;
    DesiredRelease release{pick.version, stored->release,
                           trust_.forecast(ledger, stored->release).standing};
    release.standing.withheld = pick.withheld;
    state.emplace(ledger, release);
  }
#ifdef NOTP_PLANTED_SERVE_DENIED
  for (auto& [ledger, release] : state)
    if (release.standing.denies()) release.standing.state = FreshnessState::kStale;
#endif
  return state;
}

const DesiredRelease* LocalReleases::active(const LedgerId& ledger) const {
  const auto found = active_.find(ledger);
  return found == active_.end() ? nullptr : &found->second;
}

std::optional<FreshnessState> LocalReleases::active_freshness(const LedgerId& ledger) const {
  const DesiredRelease* decided = active(ledger);
  if (!decided) return std::nullopt;
  return forecast(ledger, decided->version).standing.state;
}

// With a standing that denies, the PDP accepted the release's data roots only.
Versions LocalReleases::proven() const {
  Versions out;
  for (const auto& [ledger, release] : active_)
    if (!release.standing.denies()) out.emplace(ledger, release.version);
  return out;
}

std::optional<uint64_t> LocalReleases::proven(const LedgerId& ledger) const {
  const DesiredRelease* decided = active(ledger);
  if (!decided || decided->standing.denies()) return std::nullopt;
  return decided->version;
}

Versions LocalReleases::known_good() const {
  Versions good = proven();
  for (const auto& [ledger, state] : states_) {
    if (good.contains(ledger)) continue;
    if (const StoredRelease* release = last_good(state)) good.emplace(ledger, release->version);
  }
  return good;
}

}  // namespace notp
