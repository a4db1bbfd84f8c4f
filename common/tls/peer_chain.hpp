// The certificates that the peer of a TLS connection showed. Thread-safe: no state.
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::tls {

// Intermediates between a leaf and its root; OpenSSL's default of 100 lets a peer make us verify
// that many signatures.
inline constexpr int kIntermediatesMax = 4;

// Returns milliseconds of wall time; 0 when it is malformed.
TimeMs time_of(const ASN1_TIME* time);

// Returns the URI subject alternative names with their full length: a NUL inside stays visible.
std::vector<std::string> uris_of(const X509* certificate);

// Returns the peer's certificates as it showed them, DER, concatenated, the leaf first; empty when
// it showed none.
Bytes shown_chain(const SSL* ssl);
struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;
// Returns the same certificates, at least one.
Result<Stack> read_shown_chain(ByteView shown);
// The time in which all certificates of a chain are valid, by the wall clock.
struct Validity {
  TimeMs from_ms = 0, until_ms = kNever;
  bool covers(TimeMs wall_ms) const { return wall_ms >= from_ms && wall_ms < until_ms; }
};
// Returns the validity of a verified chain.
Validity validity_of(const STACK_OF(X509) * chain);

enum class PeerRole : uint8_t { kServer, kClient };

// Verifies a chain as a handshake under `context` would: its authorities, the purpose of the peer's
// role, the dates by the wall clock. kCertificateExpired, kCertificateUntrusted.
Result<Validity> verify_shown_chain(ByteView shown, SSL_CTX* context, PeerRole peer);

// Whether the leaf chains to one of the certificates in `authorities`, directly or through the
// shown ones. Dates and purposes are checked elsewhere, with the chain that the handshake verified.
bool chains_to(X509* leaf, const STACK_OF(X509) * shown, X509_STORE* authorities);

// Returns why the peer's chain does not verify here; `verify_result` is an X509_V_ERR_….
// kCertificateExpired, kCertificateUntrusted.
Error peer_not_trusted(long verify_result);

// Empties the verified certificates that TLS keeps as long as the connection, of the peer's
// showing: their decoded keys and extensions, over 2 KB each of an idle session. They must not be
// read afterwards.
void shrink_shown(const SSL* ssl);

}  // namespace notp::tls
