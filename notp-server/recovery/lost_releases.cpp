#include "notp-server/recovery/lost_releases.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace notp::recovery {
namespace {

auto place_of(const trust::ReleaseRef& ref) { return std::tie(ref.epoch, ref.version); }

std::string two_releases(const trust::ReleaseRef& ours, const trust::ReleaseRef& theirs) {
  return fmt::format("there are two releases v{} of {}: {} and {}", theirs.version,
                     theirs.ledger.text(), ours.release_hash.brief(), theirs.release_hash.brief());
}

std::string does_not_follow(const trust::VerifiedRelease& release, std::string_view before) {
  return fmt::format("{} v{} ({}) follows {}, and v{} {} another one", release.ref.ledger.text(),
                     release.ref.version, release.ref.release_hash.brief(),
                     release.release().previous_hash.brief(), release.ref.version - 1, before);
}

}  // namespace

const LostLedger* LostReleases::find(const model::LedgerId& ledger) const {
  const auto found = ledgers_.find(ledger);
  return found == ledgers_.end() ? nullptr : &found->second;
}

LostReleases::News LostReleases::add(const trust::VerifiedRelease& release, uint64_t session,
                                     const std::string& identity) {
  const trust::ReleaseRef& ref = release.ref;
  if (registry_.damage(ref.ledger)) return News::kNone;  // nothing can be compared
  if (const auto known = compare_with_history(release, identity)) return *known;
  const bool is_first = !ledgers_.contains(ref.ledger);
  LostLedger& ledger = ledgers_[ref.ledger];
  const auto known = compare_with_lost(ledger, release, session, identity);
  if (!known) {
    if (!ledger.newest || place_of(*ledger.newest) < place_of(ref)) {
      ledger.newest = ref;
      ledger.newest_shown_by = identity;
    }
    if (make_room(ledger, ref.version)) {
      LostRelease lost{.ref = ref,
                       .previous = release.release().previous_hash,
                       .envelope = sha256(release.envelope.bytes()),
                       .total_bytes = release.release().total_bytes,
                       .shown_by = identity,
                       .holders = {session}};
      kept_ += ledger.releases.emplace(ref.version, std::move(lost)).second ? 1 : 0;
    }
    return News::kLost;
  }
  if (is_first && ledger.releases.empty() && !ledger.newest && !ledger.fork)
    ledgers_.erase(ref.ledger);
  return *known;
}

std::optional<LostReleases::News> LostReleases::compare_with_history(
    const trust::VerifiedRelease& release, const std::string& identity) {
  const trust::ReleaseRef& ref = release.ref;
  const auto head = registry_.head(ref.ledger);
  if (!head) return std::nullopt;
  if (ref.version > head->ref.version) {
    if (place_of(ref) < place_of(head->ref)) return News::kNone;  // an epoch has ended it
    if (ref.version == head->ref.version + 1 &&
        release.release().previous_hash != head->ref.release_hash)
      return forked(ref, identity, does_not_follow(release, "is here"));
    return std::nullopt;
  }
  const auto known = registry_.info(ref.ledger, ref.version);
  if (!known || (*known)->ref.release_hash == ref.release_hash || ref.epoch < (*known)->ref.epoch)
    return News::kNone;
  return forked(ref, identity, two_releases((*known)->ref, ref));
}

std::optional<LostReleases::News> LostReleases::compare_with_lost(
    LostLedger& ledger, const trust::VerifiedRelease& release, uint64_t session,
    const std::string& identity) {
  const trust::ReleaseRef& ref = release.ref;
  auto& releases = ledger.releases;
  // A release of a later epoch takes the place of all above it of an earlier one.
  const auto superseding = std::ranges::any_of(releases, [&](const auto& entry) {
    return entry.first <= ref.version && entry.second.ref.epoch > ref.epoch;
  });
  if (superseding) return News::kNone;
  kept_ -= std::erase_if(releases, [&](const auto& entry) {
    return entry.first >= ref.version && entry.second.ref.epoch < ref.epoch;
  });
  if (const auto same = releases.find(ref.version); same != releases.end()) {
    if (same->second.ref.release_hash != ref.release_hash)
      return forked(ref, identity, two_releases(same->second.ref, ref));
    if (same->second.holders.size() < kHoldersMax) same->second.holders.insert(session);
    return News::kNone;
  }
  const auto before = releases.find(ref.version - 1);
  if (before != releases.end() &&
      before->second.ref.release_hash != release.release().previous_hash) {
    if (before->second.ref.epoch == ref.epoch)
      return forked(ref, identity, does_not_follow(release, "is at other nodes"));
    releases.erase(before);
    --kept_;
  }
  const auto after = releases.find(ref.version + 1);
  if (after == releases.end() || after->second.previous == ref.release_hash) return std::nullopt;
  if (after->second.ref.epoch != ref.epoch) return News::kNone;
  return forked(
      ref, identity,
      fmt::format("{} v{} ({}) is not the one that v{} follows, which other nodes have",
                  ref.ledger.text(), ref.version, ref.release_hash.brief(), ref.version + 1));
}

LostReleases::News LostReleases::forked(const trust::ReleaseRef& ref, const std::string& identity,
                                        std::string message) {
  LostLedger& ledger = ledgers_[ref.ledger];
  if (ledger.fork && ledger.fork->epoch >= ref.epoch) return News::kNone;
  ledger.fork = Fork{ref.epoch, ref.version, identity, std::move(message)};
  return News::kForked;
}

// Whether there is a place for the version, which may cost the newest one its place.
bool LostReleases::make_room(LostLedger& ledger, uint64_t version) {
  auto& releases = ledger.releases;
  const bool is_full = releases.size() >= kLostVersionsMax || kept_ >= kLostReleasesMax;
  if (!is_full) return true;
  if (releases.empty() || releases.rbegin()->first < version) return false;
  releases.erase(std::prev(releases.end()));
  --kept_;
  return true;
}

bool LostReleases::add_holder(const model::LedgerId& id, const Hash& envelope, uint64_t session,
                              uint64_t& version) {
  const auto ledger = ledgers_.find(id);
  if (ledger == ledgers_.end()) return false;
  for (auto& [at, release] : ledger->second.releases)
    if (release.envelope == envelope) {
      if (release.holders.size() < kHoldersMax) release.holders.insert(session);
      version = at;
      return true;
    }
  return false;
}

void LostReleases::session_ended(uint64_t session) {
  for (auto& [id, ledger] : ledgers_)
    for (auto& [version, release] : ledger.releases) release.holders.erase(session);
}

void LostReleases::prune() {
  for (auto& [id, ledger] : ledgers_) prune(id, ledger);
  std::erase_if(ledgers_,
                [](const auto& entry) { return !entry.second.newest && !entry.second.fork; });
}

void LostReleases::prune(const model::LedgerId& id, LostLedger& ledger) {
  const auto head = registry_.head(id);
  if (!head) return;
  if (ledger.fork && head->ref.epoch > ledger.fork->epoch) ledger.fork.reset();
  const auto is_here = [&](const trust::ReleaseRef& ref) {
    return ref.version <= head->ref.version || place_of(ref) < place_of(head->ref);
  };
  kept_ -=
      std::erase_if(ledger.releases, [&](const auto& entry) { return is_here(entry.second.ref); });
  if (ledger.newest && is_here(*ledger.newest)) {
    ledger.newest.reset();
    ledger.newest_shown_by.clear();
  }
}

std::vector<uint64_t> missing_versions(const LostLedger& ledger, uint64_t head, size_t max,
                                       uint64_t& count) {
  std::vector<uint64_t> out;
  count = 0;
  if (!ledger.newest) return out;
  uint64_t next = head + 1;
  const auto missing_until = [&](uint64_t end) {
    if (end <= next) return;
    count += end - next;
    for (; next < end && out.size() < max; ++next) out.push_back(next);
  };
  for (const auto& [version, release] : ledger.releases) {
    if (release.holders.empty()) continue;
    missing_until(version);
    next = version + 1;
  }
  // Above what is kept nodes are asked again.
  const bool is_whole =
      ledger.releases.contains(ledger.newest->version) || ledger.releases.size() < kLostVersionsMax;
  if (is_whole) missing_until(ledger.newest->version + 1);
  return out;
}

}  // namespace notp::recovery
