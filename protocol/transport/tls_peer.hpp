// The identity in a certificate whose chain has been verified.
#pragma once

#include <openssl/types.h>

#include "protocol/session/identity.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// The one URI subject alternative name of a leaf that may act as `side`. The common name and DNS
// names say nothing. kIdentity: no URI, several, not a SPIFFE id of ours, or a CA as a leaf (SPIFFE
// X509-SVID §2, §4); kCertificateUntrusted: the extended key usage for that side is missing.
Result<Identity> identity_of(X509* certificate, Side side);

}  // namespace notp
