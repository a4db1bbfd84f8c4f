// The identity in a certificate whose chain has been verified.
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>

#include "protocol/session/identity.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp {

// Intermediates between a leaf and its root; OpenSSL's default of 100 lets a peer make us verify
// that many signatures.
inline constexpr int kIntermediatesMax = 4;

// Milliseconds of wall time; 0 when it is malformed.
TimeMs time_of(const ASN1_TIME* time);

// The one URI subject alternative name of a leaf that may act as `side`. The common name and DNS
// names say nothing. kIdentity: no URI, several, not a SPIFFE id of ours, or a CA as a leaf (SPIFFE
// X509-SVID §2, §4); kCertificateUntrusted: the extended key usage for that side is missing.
Result<Identity> identity_of(X509* certificate, Side side);

// The peer's certificates as it showed them, DER one behind the other, the leaf first.
Bytes shown_chain(const SSL* ssl);
// When the first certificate of the chain that was verified ends.
TimeMs chain_not_after(const STACK_OF(X509) * chain);

// Verifies a chain as a handshake under `context` would: its authorities, the purpose of the peer's
// side, the dates by the wall clock. Returns when the first certificate of the chain ends. The
// codes of Connection::handshake().
Result<TimeMs> verify_shown_chain(ByteView shown, const TlsContext& context);

// Empties a verified peer certificate that TLS keeps as long as the connection: its decoded key and
// its extensions, over 2 KB of an idle session. Nothing may look at it afterwards.
void shrink(X509* certificate);

}  // namespace notp
