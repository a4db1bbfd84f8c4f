// What a publisher demands of the records of a ledger's decisions: `decisions` of the manifest,
// signed with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"

namespace notp::model {

enum class MaskOp : uint8_t {
  kRemove,  // the value, with its name, is not recorded
  kUpsert,  // another value is recorded in its place
  kCommit,  // null is recorded, with a commitment that the holder of the value can open
};

// The parts of a record that a mask can reach.
enum class MaskPart : uint8_t { kInput, kResult, kNdCache };
inline constexpr size_t kMaskParts = 3;
// "input", "result", "nd_builtin_cache".
std::string_view mask_part_name(MaskPart part);

// One mask. Its pointer is one of RFC 6901 that begins with the name of a part; a token "*" stands
// for every member or element of one level.
struct MaskRule {
  MaskOp op = MaskOp::kRemove;
  std::string pointer;
  Bytes value;  // JSON, of kUpsert
  bool operator==(const MaskRule&) const = default;
};

// The tokens of a mask's pointer behind its part, unescaped.
struct MaskPointer {
  MaskPart part = MaskPart::kInput;
  std::vector<std::string> tokens;
  // kMessage: not such a pointer.
  static Result<MaskPointer> parse(std::string_view text);
};

// Paths are data paths, "a/b"; one stands for itself and for everything below it. Of a strict and a
// dropped path the longer one applies.
struct DecisionTerms {
  std::vector<std::string> strict;  // answers wait until the record is durable; sorted
  std::vector<std::string> drop;    // decisions are only counted; sorted
  std::vector<MaskRule> mask;       // in the manifest's order
  uint32_t retain_days_min = 0;     // records are kept for at least so long
  uint32_t retain_days_max = 0;     // … and at most so long; 0: for ever
  bool operator==(const DecisionTerms&) const = default;
};

// Reads `decisions` of a manifest that its schema has accepted. Adds a line to `lines` for each
// rule that a schema cannot express and that is broken; then the result is meaningless.
DecisionTerms read_decision_terms(const json::object& decisions,
                                  const std::vector<std::string>& data_roots,
                                  std::vector<std::string>& lines);

}  // namespace notp::model
