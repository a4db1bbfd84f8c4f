// When a node may take a new release of a ledger by itself: `gate` of the manifest, signed with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp::model {

inline constexpr uint32_t kGateDecisionsMin = 100;
inline constexpr uint32_t kGateDecisionsMax = 10'000;
inline constexpr uint32_t kGateDecisionsDefault = 1'000;
inline constexpr uint32_t kPartsPerMillion = 1'000'000;

// The replay gate: a node evaluates its own newest decisions of the ledger with the new release
// before that decides, and stays on the one before when more than `allow_ppm` of them come out
// differently.
struct GateTerms {
  uint32_t decisions = kGateDecisionsDefault;  // kGateDecisionsMin to kGateDecisionsMax
  uint32_t allow_ppm = 0;                      // parts per million; at most kPartsPerMillion
  bool operator==(const GateTerms&) const = default;

  // Whether so many different ones of `comparable` are too many. Without any that is comparable
  // nothing is.
  bool holds(uint64_t differing, uint64_t comparable) const {
    return differing * kPartsPerMillion > allow_ppm * comparable;
  }
};

// "0.1%": a number from 0 to 100 with at most three decimals. kMessage.
Result<uint32_t> parse_share_ppm(std::string_view text);
// The shortest such text: 1,000 is "0.1%".
std::string share_text(uint32_t ppm);

// Reads `gate` of a manifest that its schema has accepted. Adds a line to `lines` for each rule
// that a schema cannot express and that is broken; then the result is meaningless.
GateTerms read_gate_terms(const json::object& gate, std::vector<std::string>& lines);

}  // namespace notp::model
