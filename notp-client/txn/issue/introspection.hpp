// What an issuer says of a subject token when it is asked (RFC 7662). Pure.
#pragma once

#include <string_view>

#include "common/json/json.hpp"
#include "notp-client/txn/issue/token_error.hpp"

namespace notp::txn {

// One answer, as far as it counts here.
struct Introspected {
  bool is_active = false;
  // Of an active token: iss, sub, aud, scope, scp, client_id, exp, iat, nbf, jti, sid, cnf, acr,
  // amr, auth_time, token_type, and by which issuers say what it is: typ, token_use.
  json::object attributes;
};

// kIntrospectionUnavailable: another status than 200, or not an answer of RFC 7662 §2.2: no JSON
// object with `active`, more levels than those of tokens, attributes of more than
// kTxnIntrospectedBytesMax, a token in one that counts (in others it is left out). Nobody knows
// then whether the token lives. Errors repeat nothing of it.
TokenResult<Introspected> read_introspection(unsigned status, std::string_view body);

}  // namespace notp::txn
