// What a lane says of a token, for programs: as policies have it of data.system.notp.tokens. Pure.
#pragma once

#include <optional>

#include "common/json/json.hpp"
#include "notp-client/lane/table/token_table.hpp"

namespace notp::lane {

struct TokenQuestion {
  std::optional<feed::TokenId> token;  // nullopt: not about a token as it was presented
  json::object claims;                 // iss, sub, sid, jti, txn, iat, status; may be empty
};

struct TokenVerdict {
  enum class State : uint8_t {
    kGood,  // not revoked, as far as the lane knows
    kRevoked,
    kStale,  // not all that is revoked is known: the lane was never complete, or is too old
  };
  State state = State::kStale;
  std::optional<feed::TokenRecord> record;  // of a good token that lives
};

// At this trusted time.
TokenVerdict judge(const TokenTable& table, const TokenQuestion& question, TimeMs trusted_ms);

}  // namespace notp::lane
