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

json::value Composition::system_document() const {
  json::object releases;
  for (const auto& [ledger, release] : ledgers) {
    releases[ledger.text()] = {{"zone", ledger.zone},
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
