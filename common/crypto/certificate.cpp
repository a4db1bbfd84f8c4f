#include "common/crypto/certificate.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "common/limits.hpp"

namespace notp {
namespace {

using Request = CPointer<X509_REQ, X509_REQ_free>;

constexpr size_t kCommonNameMax = 64;  // RFC 5280, upper bound of ub-common-name

bool is_usable_key(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return true;
  char group[32] = {};
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
         std::string_view(group) == "prime256v1";
}

TimeMs end_of(const X509* certificate) {
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &broken_down) != 1) return 0;
  return static_cast<TimeMs>(timegm(&broken_down)) * 1000;
}

Result<KeyAndRequest> request_for(EVP_PKEY* key, std::string key_pem) {
  const Request request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key) != 1 ||
      X509_REQ_sign(request.get(), key, EVP_sha256()) == 0)
    return x509::openssl_failed("making a certificate request");
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  if (size <= 0) return x509::openssl_failed("writing a certificate request");
  KeyAndRequest out;
  out.request.assign(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  out.key_pem = std::move(key_pem);
  return out;
}

}  // namespace

Result<KeyAndRequest> make_certificate_request() {
  NOTP_ASSIGN(const x509::Key key, x509::make_key(x509::KeyType::kP256));
  NOTP_ASSIGN(std::string key_pem, x509::key_pem(key.get()));
  return request_for(key.get(), std::move(key_pem));
}

Result<KeyAndRequest> make_certificate_request(std::string key_pem) {
  NOTP_ASSIGN(const x509::Key key, x509::read_key(key_pem));
  if (!is_usable_key(key.get()) || EVP_PKEY_is_a(key.get(), "EC") != 1)
    return fail(ErrorCode::kConfig, "the private key is not of P-256");
  return request_for(key.get(), std::move(key_pem));
}

Result<CertificateRequest> CertificateRequest::read(ByteView der) {
  if (der.size() > limits::kCertificateRequestBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("a certificate request of {} bytes, at most {} are "
                                               "read",
                                               der.size(), limits::kCertificateRequestBytesMax));
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* const end = at + der.size();
  const Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!request || at != end)
    return fail(ErrorCode::kMessage, "the certificate request is not one PKCS #10 request in DER");
  x509::Key key(X509_REQ_get_pubkey(request.get()));
  if (!key || !is_usable_key(key.get())) {
    ERR_clear_error();
    return fail(ErrorCode::kMessage,
                "the key of the certificate request is neither P-256 nor Ed25519");
  }
  const bool signed_by_key = X509_REQ_verify(request.get(), key.get()) == 1;
  ERR_clear_error();
  if (!signed_by_key)
    return fail(ErrorCode::kMessage, "the certificate request is not signed by its own key");
  return CertificateRequest(std::move(key));
}

Result<CertificateAuthority> CertificateAuthority::read(std::string_view certificate_pem,
                                                        std::string_view key_pem) {
  NOTP_ASSIGN(x509::Issuer issuer, x509::Issuer::read(certificate_pem, key_pem));
  const uint32_t usage = X509_get_key_usage(issuer.certificate.get());
  if (X509_check_ca(issuer.certificate.get()) == 0 || (usage & KU_KEY_CERT_SIGN) == 0)
    return fail(ErrorCode::kConfig, "the issuer's certificate is not one of a CA");
  return CertificateAuthority(std::move(issuer));
}

Result<std::string> CertificateAuthority::issue(const CertificateRequest& request,
                                                const std::string& uri,
                                                std::string_view common_name, TimeMs not_before_ms,
                                                TimeMs not_after_ms) const {
  const TimeMs issuer_ends_ms = end_of(issuer_.certificate.get());
  if (issuer_ends_ms <= not_before_ms)
    return fail(ErrorCode::kCertificateExpired,
                "the certificate of the authority that signs for nodes has ended; renew it");
  const x509::Draft draft{.common_name = std::string(common_name.substr(0, kCommonNameMax)),
                          .uris = {uri},
                          .emails = {},
                          .not_before_ms = not_before_ms,
                          .not_after_ms = std::min(not_after_ms, issuer_ends_ms),
                          .client_auth = true};
  NOTP_ASSIGN(const x509::Certificate leaf, x509::issue(issuer_, draft, request.key()));
  NOTP_ASSIGN(std::string pem, x509::certificate_pem(leaf.get()));
  return pem + issuer_.chain_pem;
}

}  // namespace notp
