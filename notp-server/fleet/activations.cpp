#include "notp-server/fleet/activations.hpp"

#include <algorithm>

namespace notp::fleet {

void Activations::published(const model::LedgerId& ledger, uint64_t version, TimeMs now_ms) {
  auto& releases = published_[ledger];
  if (std::ranges::any_of(releases, [&](const auto& entry) { return entry.first == version; }))
    return;
  if (releases.size() == kReleasesMax) releases.erase(releases.begin());
  releases.emplace_back(version, now_ms);
}

std::optional<TimeMs> Activations::took_ms(const std::string& node, const model::LedgerId& ledger,
                                           uint64_t version, TimeMs now_ms) const {
  const auto releases = published_.find(ledger);
  if (releases == published_.end()) return std::nullopt;
  const auto release =
      std::ranges::find(releases->second, version, [](const auto& entry) { return entry.first; });
  if (release == releases->second.end()) return std::nullopt;
  const auto session = since_ms_.find(node);
  const TimeMs from_ms =
      session == since_ms_.end() ? release->second : std::max(release->second, session->second);
  return std::max<TimeMs>(0, now_ms - from_ms);
}

}  // namespace notp::fleet
