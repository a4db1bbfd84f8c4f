#include "notp-server/fleet/activations.hpp"

#include <algorithm>

namespace notp::fleet {

void Activations::published(const model::LedgerId& ledger, uint64_t version, TimeMs now_ms) {
  auto& releases = published_[ledger];
  if (std::ranges::find(releases, version, &Release::version) != releases.end()) return;
  if (releases.size() == kReleasesMax) releases.erase(releases.begin());
  releases.push_back({version, {.published_ms = now_ms}});
}

const Activations::Release* Activations::find(const model::LedgerId& ledger,
                                              uint64_t version) const {
  const auto releases = published_.find(ledger);
  if (releases == published_.end()) return nullptr;
  const auto release = std::ranges::find(releases->second, version, &Release::version);
  return release == releases->second.end() ? nullptr : &*release;
}

std::optional<TimeMs> Activations::took_ms(const std::string& node, const model::LedgerId& ledger,
                                           uint64_t version, TimeMs now_ms) const {
  const Release* release = find(ledger, version);
  if (release == nullptr) return std::nullopt;
  const auto session = since_ms_.find(node);
  const TimeMs published_ms = release->times.published_ms;
  const TimeMs from_ms =
      session == since_ms_.end() ? published_ms : std::max(published_ms, session->second);
  return std::max<TimeMs>(0, now_ms - from_ms);
}

void Activations::took(const model::LedgerId& ledger, uint64_t version, TimeMs took_ms) {
  const auto releases = published_.find(ledger);
  if (releases == published_.end()) return;
  const auto release = std::ranges::find(releases->second, version, &Release::version);
  if (release == releases->second.end()) return;
  release->times.slowest_ms = std::max(release->times.slowest_ms, took_ms);
}

Activations::Times Activations::times(const model::LedgerId& ledger, uint64_t version) const {
  const Release* release = find(ledger, version);
  return release == nullptr ? Times{} : release->times;
}

}  // namespace notp::fleet
