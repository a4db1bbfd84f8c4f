// What a replay gate has found so far, and what follows from it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/model/gate_terms.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::agent {

// With fewer decisions to compare there is no judgement.
inline constexpr uint64_t kGateComparableMin = model::kGateDecisionsMin;
inline constexpr size_t kGateDifferencesMax = 5;      // named in a message
inline constexpr size_t kGateResultBytesMax = 120;    // of one result in it
inline constexpr size_t kGateDecisionBytesMax = 160;  // of its id and path

// A decision that comes out differently.
struct GateDifference {
  std::string decision_id, path;
  std::string before, now;  // results as gate_result() has them
};

enum class GateJudgement : uint8_t { kPasses, kHolds, kTooFew };

struct GateTally {
  uint64_t comparable = 0, differing = 0;
  uint64_t uncounted = 0;                // that cannot be compared
  std::vector<GateDifference> examples;  // the first ones, kGateDifferencesMax at most

  void add_same() { ++comparable; }
  void add_different(GateDifference difference);
  void add_uncounted() { ++uncounted; }
  GateJudgement judgement(const model::GateTerms& terms) const;
};

// A result for a person: its JSON text, "undefined" for none, or what failed; shortened.
std::string gate_result(const std::optional<Bytes>& result, const std::string& error_code);

// kGateHeld: a line with the counts, and one for each example.
Error gate_held(const model::LedgerId& ledger, uint64_t version, const GateTally& tally,
                const model::GateTerms& terms);

}  // namespace notp::agent
