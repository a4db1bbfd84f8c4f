#include "common/http/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "common/c_ptr.hpp"
#include "common/tls/certificates.hpp"
#include "common/tls/groups.hpp"
#include "common/tls/peer_chain.hpp"

namespace notp::http {
namespace {

using Context = CPointer<SSL_CTX, SSL_CTX_free>;

constexpr std::string_view kAlpn = "\x08http/1.1";  // length-prefixed, RFC 7301 §3.1

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(
          &selected, out_size, reinterpret_cast<const unsigned char*>(kAlpn.data()),
          static_cast<unsigned>(kAlpn.size()), in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

// The chain is verified after the handshake, when an answer can report the result.
int accept_any_chain(X509_STORE_CTX*, void*) { return 1; }

int verify_mode(ClientCertificate wanted) {
  switch (wanted) {
    case ClientCertificate::kNone:
      return SSL_VERIFY_NONE;
    case ClientCertificate::kOptional:
      return SSL_VERIFY_PEER;
    case ClientCertificate::kRequired:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

Result<Context> make_context(const TlsEndpoint& endpoint) {
  Context context(SSL_CTX_new(TLS_server_method()));
  const int oldest = endpoint.tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (!context || SSL_CTX_set_min_proto_version(context.get(), oldest) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), tls::kTls12Ciphers) != 1 ||
      SSL_CTX_set1_groups_list(context.get(), endpoint.allow_p384 ? tls::kServerGroupsWithP384
                                                                  : tls::kServerGroups) != 1 ||
      SSL_CTX_set_num_tickets(context.get(), 0) != 1)
    return fail(ErrorCode::kInternal, "OpenSSL does not accept the TLS settings");
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
  // Without session resumption every connection shows and proves its certificate.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context.get(), verify_mode(endpoint.client_certificate), nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), accept_any_chain, nullptr);
  SSL_CTX_set_read_ahead(context.get(), 1);  // one recv for a record's header and body
  return context;
}

std::string serial_of(const X509* certificate) {
  const CPointer<BIGNUM, BN_free> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* text = number ? BN_bn2hex(number.get()) : nullptr;
  std::string out(text == nullptr ? "" : text);
  OPENSSL_free(text);
  return out;
}

Bytes public_key_of(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  Bytes out;
  if (size > 0) out.assign(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

// Whether it can be an identity at all; its owner and issuer are checked elsewhere.
bool is_client_leaf(X509* certificate) {
  return (X509_get_extension_flags(certificate) & EXFLAG_INVALID) == 0 &&
         X509_check_ca(certificate) == 0 &&
         (X509_get_extended_key_usage(certificate) & XKU_SSL_CLIENT) != 0;
}

TimeMs chain_not_before(const X509* leaf, const STACK_OF(X509) * rest) {
  TimeMs last = tls::time_of(X509_get0_notBefore(leaf));
  for (int i = 0; i < sk_X509_num(rest); ++i)
    last = std::max(last, tls::time_of(X509_get0_notBefore(sk_X509_value(rest, i))));
  return last;
}

}  // namespace

Result<ServerTlsPtr> ServerTls::load(const TlsEndpoint& endpoint) {
  NOTP_ASSIGN(Context context, make_context(endpoint));
  NOTP_ASSIGN(const tls::Pem certificate, tls::read_pem(endpoint.certificate));
  tls::Pem key = certificate;
  // A shared file is read once: it may be replaced between two reads.
  if (endpoint.private_key != endpoint.certificate) {
    NOTP_ASSIGN(key, tls::read_pem(endpoint.private_key));
  }
  NOTP_TRY(tls::use_certificate(context.get(), certificate));
  NOTP_TRY(tls::use_key(context.get(), key));
  Sha256 hash;
  hash.update(sha256(certificate.text).view());
  hash.update(sha256(key.text).view());
  if (endpoint.client_certificate != ClientCertificate::kNone) {
    NOTP_ASSIGN(const tls::Pem authorities, tls::read_pem(endpoint.client_authorities));
    NOTP_TRY(tls::use_authorities(context.get(), authorities));
    hash.update(sha256(authorities.text).view());
  }
  hash.update(std::string(1, static_cast<char>(endpoint.client_certificate)));
  hash.update(endpoint.allow_p384 ? "P-384" : "");
  hash.update(endpoint.tls13_only ? "TLS 1.3" : "");
  return ServerTlsPtr(new ServerTls(context.release(), hash.finish()));
}

ServerTls::~ServerTls() { SSL_CTX_free(context_); }

ShownCertificate::ShownCertificate(X509* leaf, ServerTlsPtr tls)
    : is_leaf_(is_client_leaf(leaf)), tls_(std::move(tls)) {
  certificate_.uris = tls::uris_of(leaf);
  certificate_.not_before_ms = tls::time_of(X509_get0_notBefore(leaf));
  certificate_.not_after_ms = tls::time_of(X509_get0_notAfter(leaf));
  certificate_.serial = serial_of(leaf);
  certificate_.public_key = public_key_of(leaf);
}

std::optional<ShownCertificate> ShownCertificate::of(SSL* ssl, const ServerTlsPtr& tls) {
  X509* leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr) return std::nullopt;
  ShownCertificate shown(leaf, tls);
  shown.chain_ = tls::shown_chain(ssl);
  shown.chain_not_before_ms_ = chain_not_before(leaf, SSL_get_peer_cert_chain(ssl));
  tls::shrink_shown(ssl);
  shown.verify(read_clock().wall_ms);
  return shown;
}

std::optional<ShownCertificate> ShownCertificate::of(Bytes chain, const ServerTlsPtr& tls) {
  const auto certificates = tls::read_shown_chain(chain);
  if (!certificates) return std::nullopt;
  X509* leaf = sk_X509_value(certificates->get(), 0);
  ShownCertificate shown(leaf, tls);
  shown.chain_ = std::move(chain);
  shown.chain_not_before_ms_ = chain_not_before(leaf, certificates->get());
  shown.verify(read_clock().wall_ms);
  return shown;
}

const PeerCertificate& ShownCertificate::judge(const ServerTlsPtr& tls, TimeMs wall_ms) {
  const bool over = certificate_.good() && wall_ms >= chain_not_after_ms_;
  const bool early = certificate_.error_code == "certificate_expired" &&
                     wall_ms >= chain_not_before_ms_ && wall_ms < certificate_.not_after_ms;
  if (over || early || tls->digest() != tls_->digest()) {
    tls_ = tls;
    verify(wall_ms);
  }
  return certificate_;
}

void ShownCertificate::verify(TimeMs wall_ms) {
  certificate_.error_code.clear();
  certificate_.error.clear();
  if (!is_leaf_) {
    certificate_.error_code = "certificate_invalid";
    certificate_.error =
        "the certificate is malformed, a CA's, or lacks the extended key usage clientAuth; issue a "
        "right one";
    return;
  }
  const auto validity = tls::verify_shown_chain(chain_, tls_->native(), tls::PeerRole::kClient);
  if (validity) {
    chain_not_after_ms_ = validity->until_ms;
    if (wall_ms < chain_not_after_ms_) return;
  }
  const bool expired = validity || validity.error().code == ErrorCode::kCertificateExpired;
  certificate_.error_code = expired ? "certificate_expired" : "certificate_untrusted";
  certificate_.error = validity ? tls::peer_not_trusted(X509_V_ERR_CERT_HAS_EXPIRED).message
                                : validity.error().message;
}

}  // namespace notp::http
