// Tells the tokens of an issuer apart when typ does not: rules that exclude each other (RFC 8725
// §3.12). Pure.
#pragma once

#include "common/json/json.hpp"
#include "notp-client/txn/issue/token_error.hpp"

namespace notp::txn {

// What an issuer says of a token, in claims of it or about it. kSubjectTyp: that it is another kind
// than an access token (typ of Keycloak, token_use of Amazon Cognito and Ory Hydra).
TokenResult<> check_says_access_token(const json::object& claims);

// Of an access token with typ "JWT", or without one. kSubjectTyp: it has a claim of an ID token
// (nonce, at_hash, c_hash, s_hash: OpenID Connect Core 1.0 §2, §3.3.2.11, FAPI 1.0 part 2 §5.1.1)
// or of an event (events: RFC 8417 §2.2, OpenID Connect Back-Channel Logout 1.0 §2.4), or its
// issuer says that it is another kind: check_says_access_token(). kSubjectScope: neither scope nor
// scp, which an ID token does not have.
TokenResult<> check_is_access_token(const json::object& claims);

// Of an ID token: an access token must not pass as one, since that has no scope that bounds it.
// kSubjectTyp: it has scope or scp; it is an event, as a logout token, which has the issuer,
// audience and key of ID tokens, and maybe their typ; its issuer says that it is another kind.
TokenResult<> check_is_id_token(const json::object& claims);

// Of a jwt, which may be of any other kind. kSubjectTyp: it is an event.
TokenResult<> check_is_no_event(const json::object& claims);

}  // namespace notp::txn
