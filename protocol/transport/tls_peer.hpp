// Reads the identity from a certificate whose chain has been verified.
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>

#include "common/bytes.hpp"
#include "protocol/session/identity.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::transport {

// Returns the one URI subject alternative name of a leaf that may act as `side`. The common name
// and DNS names are ignored. kIdentity: no URI, several, or a CA as a leaf (SPIFFE X509-SVID §2,
// §4); kCertificateUntrusted: the extended key usage for that side is missing.
Result<std::string> identity_uri(X509* certificate, Side side);

// Returns its identity by the rules and the authorities of `context`; `shown` are further
// certificates of its chain, with or without the leaf, and may be null. Codes as above, and
// kIdentity for an id of another trust domain or without a role.
Result<session::Identity> identity_of(X509* certificate, const STACK_OF(X509) * shown, Side side,
                                      const TlsContext& context);
// The same for a chain that tls::shown_chain() kept.
Result<session::Identity> identity_of_shown(ByteView shown, Side side, const TlsContext& context);

}  // namespace notp::transport
