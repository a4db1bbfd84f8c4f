// What our module in OPA (notp-client/pdp/mask_module.hpp) says about an event that it has changed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "notp-client/pdp/mask_module.hpp"
#include "protocol/record/record.hpp"

namespace notp::opa_log {

using pdp::kMarkName;

struct EventMark {
  size_t upserts = 0, removes = 0;  // the first so many pointers of `masked` and `erased` are ours
  std::vector<std::string> erased, masked;  // what they stand for
  std::vector<record::Commitment> commitments;
  std::optional<record::Outcome> outcome;  // of the result before masking
  std::string failure;                     // of a mask; empty: none
  bool is_dropped = false;
};

// Takes the mark out of a non-deterministic cache, which is compact JSON. nullopt: there is none.
std::optional<EventMark> take_mark(Bytes& nd_builtin_cache);

// Puts the true pointers in place of ours, the outcome, and why input and result are withheld.
void apply_mark(const EventMark& mark, record::DecisionContent& content);

}  // namespace notp::opa_log
