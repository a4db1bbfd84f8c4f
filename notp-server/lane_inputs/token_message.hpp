// Messages of Jans' token streams: the channel of Lock's generation 1, and the form of its
// WebSocket design. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"
#include "notp-server/lane_inputs/token_text.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::lane_inputs {

enum class TokenOperation : uint8_t { kAdd, kDelete };

// What the ids of messages are.
enum class IdForm : uint8_t {
  kToken,   // what a PEP is presented: it can be introspected
  kSha256,  // its SHA-256 in hexadecimal, also behind "{sha256Hex}" as Jans stores it
};

struct TokenMessage {
  TokenOperation operation = TokenOperation::kAdd;
  std::string type;  // "access_token"
  feed::TokenId id;
  TokenText token;  // empty for kSha256
};

// Reads {"tknTyp", "tknId", "tknOp"}; earlier versions wrote "tknCde" for "tknId". Other members
// are ignored. Refused, refuse(), behind "message.": too-large, not-json, not-an-object, type, id,
// hashed-id (a hash, although `form` says that ids are tokens), not-a-hash (the reverse),
// operation. Errors repeat nothing of it.
Result<TokenMessage> read_token_message(std::string_view text, IdForm form);

// Reads a message that is in base64 (RFC 4648 §4), as Jans notifies PostgreSQL. The rule
// message.not-base64, and those above.
Result<TokenMessage> read_base64_message(std::string_view text, IdForm form);

}  // namespace notp::lane_inputs
