// Token status lists in JWT format, draft-ietf-oauth-status-list §5.1 and §8.3. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/jose/token.hpp"

namespace notp::lane_inputs {

// What a person has configured of a list.
struct StatusListRules {
  std::string uri;     // where it was fetched: `sub` of the list (§8.3 step 3)
  std::string issuer;  // of its keys: `iss`, if the list has one
  TimeMs now_ms = 0;   // wall time
};

// A list that was verified.
struct StatusList {
  uint32_t bits = 1;      // 1, 2, 4 or 8 for each token
  Bytes zlib;             // RFC 1950, at most kStatusListBytesMax
  uint64_t statuses = 0;  // how many tokens it is about
  TimeMs issued_ms = 0;   // wall time, from iat
  TimeMs exp_ms = kNever;
  TimeMs ttl_ms = 0;  // until the next fetch, within kStatusTtlMsMin and kStatusTtlMsMax
};

// Reads a list that was fetched from rules.uri. Refused, refuse(), with one of these rules behind
// "status-list.":
//   too-large, not-a-token;
//   typ (not statuslist+jwt), alg, key (no key fits: its kid is in the context), signature, iss,
//   sub (not rules.uri), exp (passed), iat (missing or in the future), nbf, aud: jose::check_token;
//   no-list, bits, lst, ttl: the members of §4.2 and §5.1;
//   zlib, truncated, trailing: not one whole stream of RFC 1950;
//   bomb: it inflates to more than kStatusListInflatedMax.
// HTTP headers are not asked: the claims say until when a list counts.
Result<StatusList> read_status_list(std::string_view token, const jose::KeySet& keys,
                                    const StatusListRules& rules);

// Inflates without keeping the result; returns its size. Rules zlib, truncated, trailing, bomb.
Result<uint64_t> inflated_bytes(ByteView zlib, uint64_t bytes_max);

// The kid of a list that was refused by the rule "status-list.key"; empty: it has none.
std::string_view unknown_kid_of(const Error& error);

}  // namespace notp::lane_inputs
