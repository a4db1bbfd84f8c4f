#include <fmt/format.h>

#include <algorithm>

#include "notp-client/pdp/pdp.hpp"

namespace notp {
namespace {

std::string_view revision_mark(const Standing& standing) {
  if (standing.withdrawn) return ";withdrawn";
  if (standing.withheld) return ";withheld";
  if (standing.state == FreshnessState::kStale) return ";stale";
  return standing.state == FreshnessState::kExpired ? ";expired" : "";
}

void add_standing(const Standing& standing, TimeMs as_of_ms, json::object& entry) {
  entry["state"] = freshness_state_name(standing.state);
  entry["withdrawn"] = standing.withdrawn;
  entry["withheld"] = standing.withheld;
  entry["vouched_ms"] = standing.vouched_ms;
  // Compared with a limit, a missing age is undefined; a number in its place would hold or not.
  if (standing.vouched_ms != 0)
    entry["age_s"] = std::max<TimeMs>(0, as_of_ms - standing.vouched_ms) / 1000;
  entry["fresh_s"] = standing.terms.fresh_s;
  entry["hard_s"] = standing.terms.hard_s;
  entry["on_hard"] = standing.terms.on_hard == OnHard::kDeny ? "deny" : "serve";
}

}  // namespace

std::string Composition::revision() const {
  if (ledgers.empty()) return "none";
  std::string text;
  for (const auto& [ledger, release] : ledgers) {
    if (!text.empty()) text.push_back(',');
    fmt::format_to(std::back_inserter(text), "{}@{}{}", ledger.text(), release.ref.version,
                   revision_mark(release.standing));
  }
  return text;
}

std::vector<std::string> Composition::denied_roots() const {
  std::vector<std::string> roots;
  for (const auto& [ledger, release] : ledgers)
    if (release.standing.denies())
      roots.insert(roots.end(), release.data_roots.begin(), release.data_roots.end());
  return roots;
}

// A rule says data.system.notp.ledgers.payments: the zone stands in the key only where two zones of
// the node have a ledger of that name.
json::value Composition::system_document() const {
  std::map<std::string_view, size_t> names;
  for (const auto& [ledger, release] : ledgers) ++names[ledger.name];
  json::object releases;
  for (const auto& [ledger, release] : ledgers) {
    json::object entry{{"zone", ledger.zone},
                       {"name", ledger.name},
                       {"version", release.ref.version},
                       {"epoch", release.ref.epoch},
                       {"release", release.ref.release_hash.hex()},
                       {"content_root", release.ref.content_root.hex()},
                       {"roots", json::value_from(release.data_roots)}};
    add_standing(release.standing, as_of_ms, entry);
    releases[names[ledger.name] == 1 ? ledger.name : ledger.text()] = std::move(entry);
  }
  return json::object{
      {"revision", revision()}, {"as_of_ms", as_of_ms}, {"ledgers", std::move(releases)}};
}

bool gives_denied(const Composition& shown, const Composition& wanted) {
  return std::ranges::any_of(wanted.ledgers, [&](const auto& entry) {
    if (!entry.second.standing.denies()) return false;
    const auto given = shown.ledgers.find(entry.first);
    return given != shown.ledgers.end() && !given->second.standing.denies();
  });
}

}  // namespace notp
