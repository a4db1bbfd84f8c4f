#include "common/tls/certificates.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <vector>

#include "common/c_ptr.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"

namespace notp::tls {
namespace {

using Bio = CPointer<BIO, BIO_free>;
using Key = CPointer<EVP_PKEY, EVP_PKEY_free>;
using Certificate = CPointer<X509, X509_free>;

// A key file may be encrypted; a passphrase prompt on the terminal would block a daemon.
int no_passphrase(char*, int, int, void*) { return -1; }

// Returns every certificate of a PEM text, in order.
Result<std::vector<Certificate>> read_certificates(const Pem& pem) {
  const Bio bio(BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size())));
  std::vector<Certificate> out;
  ERR_clear_error();
  while (true) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!next) break;
    out.push_back(std::move(next));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) ERR_clear_error();
  if (ERR_peek_error() != 0) return bad_pem(pem, "a damaged certificate");
  if (out.empty()) return bad_pem(pem, "no PEM certificate in it");
  return out;
}

}  // namespace

std::unexpected<Error> bad_pem(const Pem& pem, std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return fail(ErrorCode::kConfig,
              fmt::format("{}: {}{}{}", pem.name, what, reason == nullptr ? "" : ": ",
                          reason == nullptr ? "" : reason));
}

Result<Pem> read_pem(const std::filesystem::path& path) {
  auto text = read_file(path, limits::kPemBytesMax);
  if (!text) return fail(ErrorCode::kConfig, std::move(text).error().message);
  return Pem{path.string(), *std::move(text)};
}

Result<void> use_certificate(SSL_CTX* context, const Pem& pem) {
  NOTP_ASSIGN(const std::vector<Certificate> chain, read_certificates(pem));
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1)
    return bad_pem(pem, "the certificate cannot be used");
  for (size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1)
      return bad_pem(pem, "an intermediate certificate cannot be used");
  return {};
}

Result<void> use_key(SSL_CTX* context, const Pem& pem) {
  const Bio bio(BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size())));
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return bad_pem(pem, "no unencrypted PEM private key in it");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return bad_pem(pem, "the private key does not belong to the certificate");
  return {};
}

Result<void> use_authorities(SSL_CTX* context, const Pem& pem) {
  return add_authorities(SSL_CTX_get_cert_store(context), pem);
}

Result<void> add_authorities(X509_STORE* store, const Pem& pem) {
  NOTP_ASSIGN(const std::vector<Certificate> authorities, read_certificates(pem));
  for (const Certificate& authority : authorities) {
    if (X509_check_ca(authority.get()) == 0)
      return bad_pem(pem, "it holds a certificate that is no CA");
    if (X509_STORE_add_cert(store, authority.get()) != 1)
      return bad_pem(pem, "a CA certificate cannot be used");
  }
  return {};
}

}  // namespace notp::tls
