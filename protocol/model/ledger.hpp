// Names: trust domain, zone, ledger.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "common/result.hpp"

namespace notp::model {

// A ledger within a trust domain. `name` is 1 to kNameBytesMax of [a-z0-9._-], starts with a letter
// or digit and ends in neither '.' nor ".git"; `zone` lies in [kZoneMin, kZoneMax].
struct LedgerId {
  uint64_t zone = 0;
  std::string name;

  // Parses "<zone>/<name>". kUsage with the broken rule.
  static Result<LedgerId> parse(std::string_view text);
  // Parses "ztauth://<trust-domain>/<zone>/ledgers/<name>"; kUsage when the domain is not
  // `trust_domain`.
  static Result<LedgerId> parse_uri(std::string_view uri, std::string_view trust_domain);
  // kUsage when zone or name break the rules above.
  Result<void> check() const;
  std::string text() const;  // "<zone>/<name>"
  std::string uri(std::string_view trust_domain) const;
  auto operator<=>(const LedgerId&) const = default;
};

// Another ledger whose rules, functions and data a model uses, and the minimum version.
struct LedgerUse {
  LedgerId ledger;
  uint64_t version = 1;
  bool operator==(const LedgerUse&) const = default;
};

// Checks for a DNS-like lower-case name. kUsage.
Result<void> check_trust_domain(std::string_view name);

// Whether `pattern` ("<zone>/<ledger>", where either half may be "*" or end in "*") covers the
// ledger.
bool ledger_matches(std::string_view pattern, const LedgerId& ledger);

}  // namespace notp::model
