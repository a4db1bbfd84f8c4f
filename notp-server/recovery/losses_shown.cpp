// The part of Losses that is shown to people.
#include <fmt/format.h>

#include <algorithm>

#include "notp-server/recovery/losses.hpp"

namespace notp::recovery {
namespace {

constexpr size_t kMissingNamedMax = 5;  // versions of one ledger

std::string missing_text(const LostLedger& ledger, uint64_t head, uint64_t& count) {
  const auto versions = missing_versions(ledger, head, kMissingNamedMax, count);
  std::string out;
  for (const uint64_t version : versions)
    out += fmt::format("{}v{}", out.empty() ? "" : ", ", version);
  return count > versions.size() ? out + ", …" : out;
}

}  // namespace

std::vector<std::string> Losses::missing() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [id, ledger] : lost_.ledgers()) {
    uint64_t count = 0;
    if (is_forked(id, ledger) || !has_lost_releases(ledger)) continue;
    const std::string versions = missing_text(ledger, head_of(id), count);
    if (count > 0) out.push_back(fmt::format("{} {}", id.text(), versions));
  }
  return out;
}

wire::RecoveryRow Losses::row(const model::LedgerId& id) const {
  wire::RecoveryRow out{.ledger = id, .head_version = head_of(id)};
  out.newest_version = out.head_version;
  out.state = wire::RecoveryState::kRecovered;
  const MutexLock lock(mutex_);
  const LostLedger* const ledger = lost_.find(id);
  if (ledger == nullptr) return out;
  if (has_lost_releases(*ledger)) {
    out.state = wire::RecoveryState::kLost;
    out.newest_version = ledger->newest->version;
    const auto newest = ledger->releases.find(out.newest_version);
    if (newest != ledger->releases.end())
      out.holders = static_cast<uint32_t>(newest->second.holders.size());
    out.missing_versions = missing_text(*ledger, out.head_version, out.missing);
  }
  if (is_forked(id, *ledger)) {
    out.state = wire::RecoveryState::kFork;
    out.newest_version = std::max(out.newest_version, ledger->fork->version);
    out.message = fmt::format("{} ({}); a root with the next epoch and a publish end this",
                              ledger->fork->message, ledger->fork->shown_by);
  }
  return out;
}

Losses::Facts Losses::facts() const {
  Facts out;
  if (is_quiet_) return out;
  const MutexLock lock(mutex_);
  out.is_restored = mark_.has_value();
  out.has_lost_root = has_lost_root();
  for (const auto& [id, ledger] : lost_.ledgers()) {
    if (has_lost_releases(ledger)) out.lost.emplace_back(id, ledger.newest->version - head_of(id));
    if (is_forked(id, ledger)) out.forked.push_back(id);
  }
  return out;
}

}  // namespace notp::recovery
