#include "protocol/transport/tls_error.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/tls/peer_chain.hpp"

namespace notp::transport {
namespace {

Error make(ErrorCode code, std::string message) { return {code, std::move(message), {}}; }

// Returns the Error for an alert of the peer (RFC 8446 §6.2): it refused this side's certificate or
// handshake.
Error refused_by_peer(int alert) {
  switch (alert) {
    case SSL3_AD_NO_CERTIFICATE:
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return make(ErrorCode::kNoCertificate,
                  "the peer wants a certificate and got none; configure certificate and key");
    case SSL_AD_CERTIFICATE_EXPIRED:
      return make(ErrorCode::kCertificateExpired,
                  "the peer says that our certificate is out of date; renew it, or set the clock");
    case SSL_AD_UNKNOWN_CA:
      return make(ErrorCode::kCertificateUntrusted,
                  "the peer does not trust the CA of our certificate, or the chain to it is too "
                  "long; use one issued by a CA that the peer is configured with");
    case SSL_AD_CERTIFICATE_REVOKED:
      return make(ErrorCode::kCertificateUntrusted,
                  "the peer says that our certificate is revoked; issue a new one");
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_ACCESS_DENIED:
      return make(ErrorCode::kCertificateUntrusted,
                  fmt::format("the peer refuses our certificate ({}); look at its dates, extended "
                              "key usage and issuer",
                              SSL_alert_desc_string_long(alert)));
    case SSL_AD_PROTOCOL_VERSION:
      return make(ErrorCode::kTls, "the peer refuses TLS 1.3; both sides must speak it");
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return make(ErrorCode::kTls,
                  "the peer does not speak this protocol of NOTP (ALPN); look at the address");
    default:
      return make(ErrorCode::kTls, fmt::format("the peer ended TLS with the alert '{}'",
                                               SSL_alert_desc_string_long(alert)));
  }
}

}  // namespace

Error tls_error(const SSL* ssl) {
  const unsigned long first = ERR_peek_error();
  const int reason = ERR_GET_REASON(first);
  const bool from_tls = ERR_GET_LIB(first) == ERR_LIB_SSL;
  const char* text = ERR_reason_error_string(first);
  ERR_clear_error();
  if (from_tls && reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255)
    return refused_by_peer(reason - SSL_AD_REASON_OFFSET);
  if (from_tls && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    return make(ErrorCode::kNoCertificate,
                "the peer showed no certificate; it must be configured with certificate and key");
  if (from_tls && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return tls::peer_not_trusted(SSL_get_verify_result(ssl));
  return make(ErrorCode::kTls,
              fmt::format("TLS failed: {}", text == nullptr ? "no reason given" : text));
}

}  // namespace notp::transport
