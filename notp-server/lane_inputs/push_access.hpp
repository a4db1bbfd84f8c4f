// Whether the sender of a request is one that a source expects.
#pragma once

#include "notp-server/lane_inputs/event_config.hpp"
#include "notp-server/lane_inputs/push_routes.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"

namespace notp::lane_inputs {

// Whether the client's certificate is good and one of these. Of a certificate with more than one
// URI none counts (X509-SVID §2).
bool is_covered(const http::Request& request, const SenderIdentities& identities);

// Reads the value of Authorization from a file. kConfig: it cannot be read, or is empty.
Result<std::string> read_authorization(const std::filesystem::path& file);

// kDenied: the certificate or the value of Authorization is not the configured one; the file is
// read each time. kConfig: it cannot be read.
Result<void> check_sender(const http::Request& request, const SenderTerms& terms);

// Whether the token says that it is one of these clients', for this audience. Nothing is verified.
bool names_client_of(const jose::Token& token, const BearerTerms& terms);

// Verifies an access token (RFC 9068): kDenied says what is wrong, kUnavailable that the issuer has
// no keys here yet. A token that is bound to a key (RFC 7800) is refused.
Result<void> check_bearer(const jose::Token& token, const BearerTerms& terms,
                          const IssuerKeys& issuer_keys, TimeMs now_ms);

}  // namespace notp::lane_inputs
