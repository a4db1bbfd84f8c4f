// Words of records, and what a result says.
#include <algorithm>
#include <array>

#include "common/json/json_members.hpp"
#include "protocol/record/record.hpp"

namespace notp::record {
namespace {

constexpr std::array<std::string_view, kOutcomes> kOutcomeNames = {"",      "allow",     "deny",
                                                                   "other", "undefined", "error"};
constexpr std::array<std::string_view, 6> kGapReasonNames = {"",     "power_loss", "damaged",
                                                             "full", "source",     "new_log"};
constexpr std::array<std::string_view, 3> kVerdicts = {"allow", "allowed", "decision"};

std::optional<Outcome> outcome_of_boolean(ByteView value) {
  if (value == "true") return Outcome::kAllow;
  if (value == "false") return Outcome::kDeny;
  return std::nullopt;
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  const auto at = static_cast<size_t>(outcome);
  return at < kOutcomeNames.size() ? kOutcomeNames[at] : "";
}

std::optional<Outcome> parse_outcome(std::string_view name) {
  const auto found = std::ranges::find(kOutcomeNames, name);
  if (name.empty() || found == kOutcomeNames.end()) return std::nullopt;
  return static_cast<Outcome>(found - kOutcomeNames.begin());
}

std::string_view gap_reason_name(GapReason reason) {
  const auto at = static_cast<size_t>(reason);
  return at < kGapReasonNames.size() ? kGapReasonNames[at] : "";
}

Outcome outcome_of(const std::optional<Bytes>& result) {
  if (!result) return Outcome::kUndefined;
  if (const auto outcome = outcome_of_boolean(*result)) return *outcome;
  // Most results are booleans or objects: of nothing else are the tokens looked for.
  if (!result->starts_with('{')) return Outcome::kOther;
  const auto members = json_members(*result);
  if (!members) return Outcome::kOther;
  for (const std::string_view name : kVerdicts)
    if (const auto value = json_member(*members, name))
      if (const auto outcome = outcome_of_boolean(*value)) return *outcome;
  return Outcome::kOther;
}

}  // namespace notp::record
