#include <fmt/format.h>

#include "notp-client/pdp/pdp.hpp"

namespace notp {

std::string Composition::revision() const {
  if (ledgers.empty()) return "none";
  std::string text;
  for (const auto& [ledger, release] : ledgers) {
    if (!text.empty()) text.push_back(',');
    fmt::format_to(std::back_inserter(text), "{}@{}", ledger.text(), release.version);
  }
  return text;
}

// A rule says data.system.notp.ledgers.payments: the zone stands in the key only where two zones of
// the node have a ledger of that name.
json::value Composition::system_document() const {
  std::map<std::string_view, size_t> names;
  for (const auto& [ledger, release] : ledgers) ++names[ledger.name];
  json::object releases;
  for (const auto& [ledger, release] : ledgers) {
    releases[names[ledger.name] == 1 ? ledger.name : ledger.text()] = {
        {"zone", ledger.zone},
        {"name", ledger.name},
        {"version", release.version},
        {"epoch", release.epoch},
        {"release", release.release.hex()},
        {"content_root", release.content_root.hex()},
        {"roots", json::value_from(release.roots)}};
  }
  return json::object{{"revision", revision()}, {"ledgers", std::move(releases)}};
}

}  // namespace notp
