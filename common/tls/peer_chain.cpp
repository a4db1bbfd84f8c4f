#include "common/tls/peer_chain.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "common/c_ptr.hpp"

namespace notp::tls {
namespace {

using VerifyContext = CPointer<X509_STORE_CTX, X509_STORE_CTX_free>;

struct FreeNames {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

// X509_set_pubkey does not accept null; this key has no group parameters and is shared by all.
EVP_PKEY* placeholder_key() {
  static EVP_PKEY* const key = [] {
    constexpr unsigned char kZeros[32] = {};
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, kZeros, sizeof kZeros);
  }();
  return key;
}

Error make(ErrorCode code, std::string message) { return {code, std::move(message), {}}; }

}  // namespace

std::vector<std::string> uris_of(const X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                     static_cast<size_t>(ASN1_STRING_length(uri)));
  }
  return out;
}

TimeMs time_of(const ASN1_TIME* time) {
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(time, &broken_down) != 1) return 0;
  return static_cast<TimeMs>(timegm(&broken_down)) * 1000;
}

Bytes shown_chain(const SSL* ssl) {
  Bytes out;
  const auto append = [&out](X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    if (size > 0) out.append(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
  };
  X509* leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr) return out;
  append(leaf);
  // On a client OpenSSL's list starts with the leaf, on a server it does not.
  const STACK_OF(X509)* rest = SSL_get_peer_cert_chain(ssl);
  for (int i = SSL_is_server(ssl) == 1 ? 0 : 1; i < sk_X509_num(rest); ++i)
    append(sk_X509_value(rest, i));
  out.shrink_to_fit();
  return out;
}

Validity validity_of(const STACK_OF(X509) * chain) {
  Validity all;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    const X509* certificate = sk_X509_value(chain, i);
    all.from_ms = std::max(all.from_ms, time_of(X509_get0_notBefore(certificate)));
    all.until_ms = std::min(all.until_ms, time_of(X509_get0_notAfter(certificate)));
  }
  return all;
}

Result<Stack> read_shown_chain(ByteView shown) {
  Stack certificates(sk_X509_new_null());
  const auto* at = reinterpret_cast<const unsigned char*>(shown.data());
  const auto* const end = at + shown.size();
  while (certificates && at < end) {
    X509* next = d2i_X509(nullptr, &at, end - at);
    if (next == nullptr || sk_X509_push(certificates.get(), next) <= 0) {
      X509_free(next);
      ERR_clear_error();
      return fail(ErrorCode::kInternal, "the peer's certificates were not kept whole");
    }
  }
  if (sk_X509_num(certificates.get()) <= 0)
    return fail(ErrorCode::kInternal, "no certificate of the peer was kept");
  return certificates;
}

bool chains_to(X509* leaf, const STACK_OF(X509) * shown, X509_STORE* authorities) {
  const VerifyContext verify(X509_STORE_CTX_new());
  // OpenSSL only reads the list.
  auto* const untrusted = const_cast<STACK_OF(X509)*>(shown);  // NOLINT
  if (leaf == nullptr || !verify ||
      X509_STORE_CTX_init(verify.get(), authorities, leaf, untrusted) != 1)
    return false;
  X509_STORE_CTX_set_flags(verify.get(), X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_depth(X509_STORE_CTX_get0_param(verify.get()), kIntermediatesMax);
  const bool is_theirs = X509_verify_cert(verify.get()) == 1;
  ERR_clear_error();
  return is_theirs;
}

Result<Validity> verify_shown_chain(ByteView shown, SSL_CTX* context, PeerRole peer) {
  NOTP_ASSIGN(const Stack certificates, read_shown_chain(shown));
  const VerifyContext verify(X509_STORE_CTX_new());
  if (!verify || X509_STORE_CTX_init(verify.get(), SSL_CTX_get_cert_store(context),
                                     sk_X509_value(certificates.get(), 0), certificates.get()) != 1)
    return fail(ErrorCode::kInternal, "OpenSSL cannot verify the peer's certificates again");
  // The same setup as in OpenSSL's own handshake.
  X509_STORE_CTX_set_default(verify.get(), peer == PeerRole::kClient ? "ssl_client" : "ssl_server");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(verify.get());
  X509_VERIFY_PARAM_set_depth(rules, kIntermediatesMax);
  X509_VERIFY_PARAM_set_auth_level(rules, SSL_CTX_get_security_level(context));
  // Uses the caller's clock: time() may be a tick behind, and would find a certificate valid in the
  // instant of its expiry.
  X509_VERIFY_PARAM_set_time(rules, static_cast<time_t>(read_clock().wall_ms / 1000));
  const int verified = X509_verify_cert(verify.get());
  ERR_clear_error();
  if (verified != 1)
    return std::unexpected(peer_not_trusted(X509_STORE_CTX_get_error(verify.get())));
  return validity_of(X509_STORE_CTX_get0_chain(verify.get()));
}

Error peer_not_trusted(long verify_result) {
  const char* text = X509_verify_cert_error_string(verify_result);
  switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return make(ErrorCode::kCertificateExpired,
                  "a certificate in the peer's chain has expired; renew it, or set this clock");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return make(ErrorCode::kCertificateExpired,
                  "a certificate in the peer's chain is not valid yet; set the clocks");
    case X509_V_ERR_INVALID_PURPOSE:
      return make(ErrorCode::kCertificateUntrusted,
                  "the peer's certificate lacks the extended key usage for its side (serverAuth or "
                  "clientAuth), or a CA certificate was shown as a leaf; issue a right one");
    default:
      return make(
          ErrorCode::kCertificateUntrusted,
          fmt::format("the peer's certificate is not trusted ({}); its CA must be among the "
                      "configured authorities",
                      text));
  }
}

namespace {

void shrink(X509* certificate) {
  X509_set_pubkey(certificate, placeholder_key());
  while (X509_get_ext_count(certificate) > 0) X509_EXTENSION_free(X509_delete_ext(certificate, 0));
}

}  // namespace

void shrink_shown(const SSL* ssl) {
  X509* const leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr || placeholder_key() == nullptr) return;
  shrink(leaf);
  const STACK_OF(X509)* shown = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(shown); ++i) shrink(sk_X509_value(shown, i));
  ERR_clear_error();
}

}  // namespace notp::tls
