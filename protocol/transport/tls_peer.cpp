#include "protocol/transport/tls_peer.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <memory>

namespace notp {
namespace {

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// The URIs with their full length: a NUL inside stays visible to the parser of the identity.
std::vector<std::string_view> uris_of(const GENERAL_NAMES* names) {
  std::vector<std::string_view> out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                     static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  return out;
}

// X509_set_pubkey takes no null; this key has no group parameters and is shared by all.
EVP_PKEY* placeholder_key() {
  static EVP_PKEY* const key = [] {
    constexpr unsigned char kZeros[32] = {};
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, kZeros, sizeof kZeros);
  }();
  return key;
}

}  // namespace

Result<Identity> identity_of(X509* certificate, Side side) {
  if (certificate == nullptr) return fail(ErrorCode::kNoCertificate, "there is no certificate");
  const uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0)
    return fail(ErrorCode::kIdentity, "the certificate has a malformed extension; issue a new one");
  if (X509_check_ca(certificate) != 0)
    return fail(ErrorCode::kIdentity,
                "a CA certificate was shown as an identity; issue a leaf certificate and use that");
  // OpenSSL's purpose check lets a certificate without any extended key usage do everything.
  const uint32_t wanted = side == Side::kServer ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
  if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(certificate) & wanted) == 0)
    return fail(ErrorCode::kCertificateUntrusted,
                fmt::format("the certificate lacks the extended key usage {}; issue one with it",
                            side == Side::kServer ? "serverAuth" : "clientAuth"));
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const auto uris = uris_of(names.get());
  if (uris.size() != 1)
    return fail(
        ErrorCode::kIdentity,
        fmt::format("the certificate has {} URI subject alternative names where exactly one "
                    "spiffe:// URI is the identity; issue one with that",
                    uris.size()));
  return Identity::parse(uris.front());
}

void shrink(X509* certificate) {
  if (certificate == nullptr || placeholder_key() == nullptr) return;
  X509_set_pubkey(certificate, placeholder_key());
  while (X509_get_ext_count(certificate) > 0) X509_EXTENSION_free(X509_delete_ext(certificate, 0));
  ERR_clear_error();
}

}  // namespace notp
