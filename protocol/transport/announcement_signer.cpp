#include "protocol/transport/announcement_signer.hpp"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/c_ptr.hpp"

namespace notp::transport {
namespace {

using MdContext = CPointer<EVP_MD_CTX, EVP_MD_CTX_free>;

Bytes der_of(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  if (size <= 0) return {};
  Bytes out(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return out;
}

// As record::verify_announcement() expects it for the kind of the key.
Result<Bytes> sign_with(EVP_PKEY* key, ByteView message) {
  const int kind = EVP_PKEY_get_base_id(key);
  const EVP_MD* const digest = kind == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  const auto* const data = reinterpret_cast<const unsigned char*>(message.data());
  size_t size = 0;
  bool good = context && EVP_DigestSignInit(context.get(), &options, digest, nullptr, key) == 1;
  if (good && kind == EVP_PKEY_RSA)
    good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  good = good && EVP_DigestSign(context.get(), nullptr, &size, data, message.size()) == 1;
  Bytes signature(size, '\0');
  good = good && EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                                &size, data, message.size()) == 1;
  if (!good)
    return fail(ErrorCode::kInternal,
                "the key of the TLS certificate does not sign; use an ECDSA, RSA or Ed25519 key");
  signature.resize(size);
  return signature;
}

}  // namespace

Result<record::AnnouncementSigner> announcement_signer(std::shared_ptr<const TlsContext> tls) {
  SSL_CTX* const native = tls->native();
  X509* const leaf = SSL_CTX_get0_certificate(native);
  EVP_PKEY* const key = SSL_CTX_get0_privatekey(native);
  if (leaf == nullptr || key == nullptr)
    return fail(ErrorCode::kNoCertificate, "there is no TLS certificate to sign with");
  record::AnnouncementSigner signer;
  signer.certificates.push_back(der_of(leaf));
  STACK_OF(X509)* intermediates = nullptr;
  SSL_CTX_get0_chain_certs(native, &intermediates);
  for (int i = 0; i < sk_X509_num(intermediates); ++i)
    signer.certificates.push_back(der_of(sk_X509_value(intermediates, i)));
  signer.sign = [tls = std::move(tls), key](ByteView message) { return sign_with(key, message); };
  return signer;
}

}  // namespace notp::transport
