// Rules that say what of a decision is not recorded, ready to be applied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/model/decision_terms.hpp"

namespace notp::decision {

// One token of a pointer.
struct MaskToken {
  bool is_any = false;             // every member and element of its level
  std::vector<std::string> names;  // of members: each of them matches; the first is the rule's own
  std::optional<uint64_t> index;   // of an element

  bool matches(ByteView name) const {
    if (is_any) return true;
    for (const std::string& one : names)
      if (one == name) return true;
    return false;
  }
  bool matches(uint64_t element) const { return is_any || index == element; }
};

struct CompiledMask {
  model::MaskPart part = model::MaskPart::kInput;
  model::MaskOp op = model::MaskOp::kRemove;
  std::vector<MaskToken> tokens;
  Bytes value;           // compact JSON, of kUpsert
  bool inserts = false;  // as OPA's upsert does, when an object misses the member
  // Of kUpsert: a text becomes {"id": …}, the id of a token (protocol/feed/token_id.hpp), anything
  // else null; `value` is not read.
  bool names_token = false;
};

// Immutable. At most kMaskRulesMax, of at most kMaskRuleBytesMax each.
class MaskRules {
 public:
  // The masks of a manifest. kMessage, kLimit.
  static Result<MaskRules> from_terms(std::span<const model::MaskRule> terms);

  // The value of data.system.log.mask (JSON): an array of paths to remove and of objects with op
  // (remove, upsert), path and value. A path consists of segments with a '/' before each. OPA
  // percent-escapes a segment and then compares it with names, so that one with a space or an
  // umlaut never matches; here a segment matches as it is written, unescaped, and as OPA compares
  // it. kMessage for what OPA refuses, kLimit.
  static Result<MaskRules> from_policy(ByteView text);

  // Pointers (RFC 6901) into inputs at which there are tokens: their ids are recorded, in the form
  // that the engine's records of lookups have. kMessage, kLimit.
  static Result<MaskRules> for_tokens(std::span<const std::string> pointers);

  const std::vector<CompiledMask>& masks() const { return masks_; }

 private:
  std::vector<CompiledMask> masks_;
};

}  // namespace notp::decision
