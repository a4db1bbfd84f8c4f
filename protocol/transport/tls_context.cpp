#include "protocol/transport/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "common/c_owner.hpp"
#include "common/files.hpp"
#include "common/limits.hpp"
#include "protocol/transport/tls_peer.hpp"

namespace notp {
namespace {

using Context = CPointer<SSL_CTX, SSL_CTX_free>;
using Bio = CPointer<BIO, BIO_free>;
using Key = CPointer<EVP_PKEY, EVP_PKEY_free>;
using Certificate = CPointer<X509, X509_free>;

// Length-prefixed, RFC 7301 §3.1.
constexpr unsigned char kAlpn[] = {6, 'n', 'o', 't', 'p', '/', '1'};
// Intermediates between a leaf and its root; OpenSSL's default of 100 lets a peer make us verify
// that many signatures.
constexpr int kIntermediatesMax = 4;
// The SHA-256 suites first: a shorter transcript hash saves 32 bytes of handshake.
constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";

std::unexpected<Error> bad_file(const std::filesystem::path& path, std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return fail(ErrorCode::kConfig,
              fmt::format("{}: {}{}{}", path.string(), what, reason == nullptr ? "" : ": ",
                          reason == nullptr ? "" : reason));
}

Result<Bytes> read_pem(const std::filesystem::path& path) {
  auto pem = read_file(path, limits::kPemBytesMax);
  if (pem) return pem;
  return fail(ErrorCode::kConfig, std::move(pem).error().message);
}

// A key file may be encrypted; asking for a passphrase on the terminal would hang a daemon.
int no_passphrase(char*, int, int, void*) { return -1; }

// Every certificate of a PEM text, in order.
Result<std::vector<Certificate>> read_certificates(const std::filesystem::path& path) {
  NOTP_ASSIGN(const Bytes pem, read_pem(path));
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Certificate> out;
  ERR_clear_error();
  while (true) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!next) break;
    out.push_back(std::move(next));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) ERR_clear_error();
  if (ERR_peek_error() != 0) return bad_file(path, "a damaged certificate");
  if (out.empty()) return bad_file(path, "no PEM certificate in it");
  return out;
}

Result<void> use_certificate(SSL_CTX* context, const std::filesystem::path& path) {
  NOTP_ASSIGN(const std::vector<Certificate> chain, read_certificates(path));
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1)
    return bad_file(path, "the certificate cannot be used");
  for (size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1)
      return bad_file(path, "an intermediate certificate cannot be used");
  return {};
}

Result<void> use_key(SSL_CTX* context, const std::filesystem::path& path) {
  NOTP_ASSIGN(const Bytes pem, read_pem(path));
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return bad_file(path, "no unencrypted PEM private key in it");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    return bad_file(path, "the private key does not belong to the certificate");
  return {};
}

Result<void> use_authorities(SSL_CTX* context, const std::filesystem::path& path) {
  NOTP_ASSIGN(const std::vector<Certificate> authorities, read_certificates(path));
  for (const Certificate& authority : authorities) {
    if (X509_check_ca(authority.get()) == 0)
      return bad_file(path, "it holds a certificate that is no CA");
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1)
      return bad_file(path, "a CA certificate cannot be used");
  }
  return {};
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, kAlpn, sizeof kAlpn, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

Result<Context> make_context(Side side) {
  Context context(SSL_CTX_new(side == Side::kServer ? TLS_server_method() : TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), kCipherSuites) != 1 ||
      SSL_CTX_set_num_tickets(context.get(), 0) != 1 ||
      SSL_CTX_set_alpn_protos(context.get(), kAlpn, sizeof kAlpn) != 0)
    return fail(ErrorCode::kInternal, "OpenSSL does not accept the TLS 1.3 settings");
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(context.get(), kIntermediatesMax);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Frame lengths say whether a stream was cut; a missing close_notify says nothing more.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
  // One recv for a record's header and body.
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

TimeMs not_after(const X509* certificate) {
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &broken_down) != 1) return 0;
  return static_cast<TimeMs>(timegm(&broken_down)) * 1000;
}

}  // namespace

TlsContext::TlsContext(SSL_CTX* context, Side side, std::string trust_domain)
    : context_(context),
      side_(side),
      trust_domain_(std::move(trust_domain)),
      identity_(identity_of(SSL_CTX_get0_certificate(context), side)),
      not_after_ms_(not_after(SSL_CTX_get0_certificate(context))) {}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files, Side side) {
  NOTP_ASSIGN(Context context, make_context(side));
  NOTP_TRY(use_certificate(context.get(), files.certificate));
  NOTP_TRY(use_key(context.get(), files.private_key));
  NOTP_TRY(use_authorities(context.get(), files.authorities));
  return std::shared_ptr<const TlsContext>(
      new TlsContext(context.release(), side, files.trust_domain));
}

TlsSource::TlsSource(TlsFiles files, Side side, std::shared_ptr<const TlsContext> context)
    : files_(std::move(files)), side_(side), context_(std::move(context)) {}

Result<std::unique_ptr<TlsSource>> TlsSource::open(TlsFiles files, Side side) {
  NOTP_ASSIGN(auto context, TlsContext::load(files, side));
  return std::unique_ptr<TlsSource>(new TlsSource(std::move(files), side, std::move(context)));
}

Result<void> TlsSource::reload() {
  NOTP_ASSIGN(auto context, TlsContext::load(files_, side_));
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  return {};
}

std::shared_ptr<const TlsContext> TlsSource::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

}  // namespace notp
