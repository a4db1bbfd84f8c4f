#include "notp-client/agent/core/rejections.hpp"

#include <algorithm>

namespace notp::agent {
namespace {

constexpr size_t kRejectionsKept = 16;

}  // namespace

std::optional<Error> Rejections::find(const model::LedgerId& ledger, uint64_t version,
                                      const Picks& beside) const {
  const auto rejections = ledgers_.find(ledger);
  if (rejections == ledgers_.end()) return std::nullopt;
  for (const Rejection& rejection : rejections->second) {
    const bool is_same = rejection.version == version &&
                         std::ranges::all_of(rejection.beside, [&](const auto& used) {
                           const auto pick = beside.find(used.first);
                           return pick != beside.end() && pick->second.version == used.second;
                         });
    if (is_same) return rejection.error;
  }
  return std::nullopt;
}

// With fewer entries than releases, releases that all fail together with the same others would be
// tried in turn for ever.
void Rejections::keep(const model::LedgerId& ledger, Rejection rejection,
                      const LocalReleases& releases) {
  std::deque<Rejection>& kept = ledgers_[ledger];
  std::erase_if(kept, [&](const Rejection& each) { return !releases.find(ledger, each.version); });
  kept.push_back(std::move(rejection));
  if (kept.size() > std::max(kRejectionsKept, releases.of(ledger).size())) kept.pop_front();
}

bool names_ledger(const model::LedgerId& ledger, std::string_view findings) {
  const std::string prefix = ledger.text() + "/";
  for (size_t at = 0; at < findings.size();) {
    std::string_view line = findings.substr(at, findings.find('\n', at) - at);
    at += line.size() + 1;
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace notp::agent
