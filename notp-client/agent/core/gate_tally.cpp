#include "notp-client/agent/core/gate_tally.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/limits.hpp"

namespace notp::agent {

// Even the longest message of a gate is reported whole.
static_assert(kGateDifferencesMax * (2 * kGateResultBytesMax + kGateDecisionBytesMax + 64) <
              limits::kErrorTextBytesMax - 1'024);

void GateTally::add_different(GateDifference difference) {
  ++comparable;
  ++differing;
  if (examples.size() < kGateDifferencesMax) examples.push_back(std::move(difference));
}

GateJudgement GateTally::judgement(const model::GateTerms& terms) const {
  if (comparable < kGateComparableMin) return GateJudgement::kTooFew;
  return terms.holds(differing, comparable) ? GateJudgement::kHolds : GateJudgement::kPasses;
}

std::string gate_result(const std::optional<Bytes>& result, const std::string& error_code) {
  if (!error_code.empty()) return "error " + printable(error_code, kGateResultBytesMax);
  return result ? printable(*result, kGateResultBytesMax) : "undefined";
}

Error gate_held(const model::LedgerId& ledger, uint64_t version, const GateTally& tally,
                const model::GateTerms& terms) {
  std::string text = fmt::format(
      "{} of this node's last {} recorded decisions come out differently with {} v{}, its manifest "
      "allows {}",
      tally.differing, tally.comparable, ledger.text(), version,
      model::share_text(terms.allow_ppm));
  for (const GateDifference& each : tally.examples)
    text += fmt::format("\n{}: {} instead of {}",
                        printable(each.decision_id + " " + each.path, kGateDecisionBytesMax),
                        each.now, each.before);
  return Error{ErrorCode::kGateHeld, std::move(text), {}};
}

}  // namespace notp::agent
