// Authenticates a client by a JWT that it signed (private_key_jwt: RFC 7523 §2.2, §3, RFC 7521
// §4.2), by the key of its certificate, which is in the header (x5c, RFC 7515 §4.1.6). Pure,
// thread-safe: no state.
#pragma once

#include "notp-client/txn/issue/issuer_core.hpp"

namespace notp::txn {

inline constexpr std::string_view kClientAssertionType =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

// Well formed. Nothing in it has been verified.
struct ClientAssertion {
  jose::Token token;
  Bytes chain;  // the certificates of x5c, DER, concatenated, the leaf first
};

// kBadAssertion: only one of client_assertion and client_assertion_type, another type, not a signed
// JWT, no x5c with 1 to kTxnAssertionCertificatesMax elements, each of them one structure in DER,
// as a certificate is, in base64.
TokenResult<ClientAssertion> read_client_assertion(const TokenForm& form);

// What costs next to nothing, before the chain is verified; none of it is proved before
// check_client_assertion(). `issuer`: of the service. Returns what JtiTable has to take.
// kBadAssertion: typ is another than none, JWT or client-authentication+jwt; iss is not sub; aud is
// neither the issuer nor its token endpoint alone; no jti; it lives more than
// kTxnAssertionLifeMsMax from now. kAssertionExpired.
TokenResult<JtiUse> check_assertion_claims(const ClientAssertion& assertion,
                                           std::string_view issuer, TimeMs now_ms);

// All of it. `client`: of the chain's leaf, which the caller has verified. kBadAssertion, beside
// the above: not signed by the client's key; iss is not the client; it begins later.
TokenResult<JtiUse> check_client_assertion(ClientAssertion assertion, const Client& client,
                                           std::string_view issuer, TimeMs now_ms);

}  // namespace notp::txn
