#include "notp-server/app/status_line.hpp"

#include <fmt/format.h>

namespace notp::server {

std::string status_line(const StatusFacts& facts) {
  std::string out = fmt::format("serving {} ledger{} to {} peer{}, root v{}", facts.ledgers,
                                facts.ledgers == 1 ? "" : "s", facts.peers,
                                facts.peers == 1 ? "" : "s", facts.root_version);
  if (facts.damaged > 0)
    out +=
        fmt::format("; {} ledger{} damaged", facts.damaged, facts.damaged == 1 ? " is" : "s are");
  if (facts.freshness_key == trust::FreshnessKeyState::kMissing)
    out += "; the freshness key is missing";
  if (facts.freshness_key == trust::FreshnessKeyState::kOther)
    out += "; the freshness key is not the root's";
  if (facts.is_read_only) out += "; read-only";
  if (!facts.root_expiry.empty()) out += "; " + facts.root_expiry;
  return out;
}

}  // namespace notp::server
