#include "protocol/transport/tls_peer.hpp"

#include <fmt/format.h>
#include <openssl/x509v3.h>

#include "common/tls/peer_chain.hpp"

namespace notp::transport {

Result<std::string> identity_uri(X509* certificate, Side side) {
  if (certificate == nullptr) return fail(ErrorCode::kNoCertificate, "there is no certificate");
  const uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0)
    return fail(ErrorCode::kIdentity, "the certificate has a malformed extension; issue a new one");
  if (X509_check_ca(certificate) != 0)
    return fail(ErrorCode::kIdentity,
                "a CA certificate was shown as an identity; issue a leaf certificate and use that");
  // OpenSSL's purpose check allows everything to a certificate without extended key usage.
  const uint32_t wanted = side == Side::kServer ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
  if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(certificate) & wanted) == 0)
    return fail(ErrorCode::kCertificateUntrusted,
                fmt::format("the certificate lacks the extended key usage {}; issue one with it",
                            side == Side::kServer ? "serverAuth" : "clientAuth"));
  std::vector<std::string> uris = tls::uris_of(certificate);
  if (uris.size() != 1)
    return fail(
        ErrorCode::kIdentity,
        fmt::format("the certificate has {} URI subject alternative names where exactly one "
                    "spiffe:// URI is the identity; issue one with that",
                    uris.size()));
  return std::move(uris.front());
}

Result<session::Identity> identity_of(X509* certificate, const STACK_OF(X509) * shown, Side side,
                                      const TlsContext& context) {
  NOTP_ASSIGN(const std::string uri, identity_uri(certificate, side));
  return context.rules().identify(uri, context.trust_domain(),
                                  context.attests_built_in(certificate, shown));
}

Result<session::Identity> identity_of_shown(ByteView shown, Side side, const TlsContext& context) {
  NOTP_ASSIGN(const tls::Stack chain, tls::read_shown_chain(shown));
  return identity_of(sk_X509_value(chain.get(), 0), chain.get(), side, context);
}

}  // namespace notp::transport
