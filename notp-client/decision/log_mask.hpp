// Takes out of a decision what its record must not hold.
//
// Besides the rules that it is given, these always hold, in all of a record's JSON:
//   - a compact JWS, anywhere in a string or a name, loses its signature: "header.payload." stays
//     (jws_signatures.hpp);
//   - a member named authorization, proxy-authorization, cookie, set-cookie or txn-token, in any
//     case and with '_' for '-', loses its value if it is a string, and the strings of an array;
//   - in nd_builtin_cache the names at the second level are arguments as JSON text: the same holds
//     inside of them.
// Of several rules for one value, remove comes before commit, and commit before upsert; of two
// upserts the later one applies. Indices count as in the text that came, whatever is removed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "notp-client/decision/mask_rules.hpp"
#include "protocol/record/record.hpp"

namespace notp::decision {

// What was done. A pointer is one of RFC 6901 that begins with /input, /result or
// /nd_builtin_cache; names in it are masked like all others.
struct MaskLists {
  std::vector<std::string> erased, masked;
  std::vector<record::Commitment> commitments;
  size_t unnamed = 0;  // over kMaskedPathsMax in all, or longer than kMaskedPathBytesMax
};

// For one decision. One thread.
class LogMask {
 public:
  // All of it outlives this object. `random` makes the salts of commitments.
  LogMask(std::span<const MaskRules* const> rules, Random& random);

  // Returns the text to record, compact UTF-8: numbers, escapes and repeated names are as they
  // came, but for \ufffd in place of half a surrogate pair. Every repetition of a name is masked.
  // nullopt: a rule removes all of it. kMessage: not JSON, not UTF-8, or deeper than kJsonDepthMax.
  // kLimit: larger than kRecordBytesMax, before or after. After an error none of the text may be
  // recorded.
  Result<std::optional<Bytes>> apply(model::MaskPart part, ByteView text);

  // The same for other JSON of a record: only what always holds, and nothing is listed.
  static Result<Bytes> apply_built_in(ByteView text);

  const MaskLists& lists() const { return lists_; }
  MaskLists take_lists() { return std::move(lists_); }
  // A bit for each of rules[set]->masks() that matched something.
  uint64_t matched(size_t set) const { return matched_[set]; }

 private:
  std::span<const MaskRules* const> rules_;
  Random& random_;
  MaskLists lists_;
  std::vector<uint64_t> matched_;
};

// HMAC-SHA-256 (RFC 2104).
Bytes hmac_sha256(ByteView key, ByteView message);

}  // namespace notp::decision
