#include "protocol/transport/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/c_ptr.hpp"
#include "common/tls/groups.hpp"
#include "common/tls/peer_chain.hpp"
#include "protocol/transport/tls_peer.hpp"

namespace notp::transport {
namespace {

using Context = CPointer<SSL_CTX, SSL_CTX_free>;
using VerifyContext = CPointer<X509_STORE_CTX, X509_STORE_CTX_free>;
using Store = CPointer<X509_STORE, X509_STORE_free>;

// Length-prefixed, RFC 7301 §3.1.
constexpr std::string_view kSessionAlpn = "\x06notp/1";
constexpr std::string_view kEnrollAlpn = "\x0dnotp-enroll/1";
// The SHA-256 suites first: a shorter transcript hash saves 32 bytes of handshake.
constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";

Hash certificate_hash(const X509* certificate) {
  Hash hash;
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), hash.bytes.data(), &size) != 1) return {};
  return hash;
}

// Completes the shown chain, including the authority at its end. Peers check the dates. Returns the
// hash of the top.
Result<Hash> show_whole_chain(SSL_CTX* context, const TlsTexts& texts) {
  const VerifyContext verify(X509_STORE_CTX_new());
  STACK_OF(X509)* intermediates = nullptr;
  SSL_CTX_get0_chain_certs(context, &intermediates);
  if (!verify || X509_STORE_CTX_init(verify.get(), SSL_CTX_get_cert_store(context),
                                     SSL_CTX_get0_certificate(context), intermediates) != 1)
    return fail(ErrorCode::kInternal, "OpenSSL has no memory for a chain");
  X509_STORE_CTX_set_flags(verify.get(), X509_V_FLAG_NO_CHECK_TIME);
  if (X509_verify_cert(verify.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::kConfig,
                fmt::format("{} does not chain to a certificate in {} ({}); nodes that join would "
                            "not trust this registry",
                            texts.certificate.name, texts.authorities.name,
                            X509_verify_cert_error_string(X509_STORE_CTX_get_error(verify.get()))));
  }
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(verify.get());
  SSL_CTX_clear_chain_certs(context);
  for (int i = 1; i < sk_X509_num(chain); ++i)
    if (SSL_CTX_add1_chain_cert(context, sk_X509_value(chain, i)) != 1)
      return tls::bad_pem(texts.certificate, "the chain cannot be shown");
  return certificate_hash(sk_X509_value(chain, sk_X509_num(chain) - 1));
}

// Completes the chain of a leaf that stands alone in its file by intermediates among the
// authorities, without the root at its end: the peer has that (RFC 8446 §4.4.2), and would parse
// and keep another copy. Intermediates in the file are shown as they are: among them may be one
// that only other peers need.
void show_chain_without_root(SSL_CTX* context) {
  STACK_OF(X509)* given = nullptr;
  SSL_CTX_get0_chain_certs(context, &given);
  if (sk_X509_num(given) > 0) return;
  SSL_CTX_build_cert_chain(context, SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT |
                                        SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR |
                                        SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
  ERR_clear_error();
}

// Trusts the one certificate of the peer's chain whose hash is pinned.
int verify_pinned(X509_STORE_CTX* verify, void* pinned) {
  const Hash& wanted = *static_cast<const Hash*>(pinned);
  const STACK_OF(X509)* shown = X509_STORE_CTX_get0_untrusted(verify);
  for (int i = 0; i < sk_X509_num(shown); ++i) {
    X509* certificate = sk_X509_value(shown, i);
    if (certificate_hash(certificate) != wanted || X509_check_ca(certificate) == 0) continue;
    STACK_OF(X509)* trusted = sk_X509_new_null();
    const bool pushed = trusted != nullptr && sk_X509_push(trusted, certificate) > 0;
    X509_STORE_CTX_set0_trusted_stack(verify, trusted);
    const int verified = pushed ? X509_verify_cert(verify) : 0;
    sk_X509_free(trusted);
    return verified;
  }
  X509_STORE_CTX_set_error(verify, X509_V_ERR_CERT_UNTRUSTED);
  return 0;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void* argument) {
  const auto& alpn = *static_cast<const std::string_view*>(argument);
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(
          &selected, out_size, reinterpret_cast<const unsigned char*>(alpn.data()),
          static_cast<unsigned>(alpn.size()), in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

const char* groups_of(Side side, bool allow_p384) {
  if (side == Side::kClient) return tls::kClientGroups;
  return allow_p384 ? tls::kServerGroupsWithP384 : tls::kServerGroups;
}

Result<Context> make_context(Side side, const std::string_view& alpn, bool allow_p384 = false) {
  Context context(SSL_CTX_new(side == Side::kServer ? TLS_server_method() : TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), kCipherSuites) != 1 ||
      SSL_CTX_set1_groups_list(context.get(), groups_of(side, allow_p384)) != 1 ||
      SSL_CTX_set_num_tickets(context.get(), 0) != 1 ||
      SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                              static_cast<unsigned>(alpn.size())) != 0)
    return fail(ErrorCode::kInternal, "OpenSSL does not accept the TLS 1.3 settings");
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn,
                             const_cast<std::string_view*>(&alpn));  // NOLINT: only read
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(context.get(), tls::kIntermediatesMax);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
  // Frame lengths detect a cut stream; a missing close_notify adds no information.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
  // One recv for a record's header and body.
  SSL_CTX_set_read_ahead(context.get(), 1);
  return context;
}

}  // namespace

Result<TlsTexts> TlsTexts::read(const TlsFiles& files) {
  TlsTexts out;
  NOTP_ASSIGN(out.certificate, tls::read_pem(files.certificate));
  // A shared file is read once: it may be replaced between two reads.
  if (files.private_key == files.certificate) {
    out.private_key = out.certificate;
  } else {
    NOTP_ASSIGN(out.private_key, tls::read_pem(files.private_key));
  }
  NOTP_ASSIGN(out.authorities, tls::read_pem(files.authorities));
  if (!files.built_in_authorities.empty()) {
    NOTP_ASSIGN(out.built_in_authorities, tls::read_pem(files.built_in_authorities));
  }
  out.identities = files.identities;
  out.trust_domain = files.trust_domain;
  out.allow_p384 = files.allow_p384;
  return out;
}

Hash TlsTexts::digest() const {
  Sha256 hash;
  for (const Pem* pem : {&certificate, &private_key, &authorities})
    hash.update(sha256(pem->text).view());
  if (built_in_authorities) hash.update(sha256(built_in_authorities->text).view());
  for (const session::IdentityRule& rule : identities.rules())
    hash.update(
        sha256(fmt::format("{} {}", session::role_name(rule.role), rule.match.text())).view());
  return hash.finish();
}

struct TlsContext::Peers {
  std::string trust_domain;
  session::IdentityRules rules;
  Store built_in_authorities;  // null: see TlsFiles
};

TlsContext::TlsContext(SSL_CTX* context, Side side, Peers peers, std::string_view protocol,
                       bool verifies_peer, const Hash& authority)
    : context_(context),
      side_(side),
      trust_domain_(std::move(peers.trust_domain)),
      rules_(std::move(peers.rules)),
      built_in_authorities_(peers.built_in_authorities.release()),
      protocol_(protocol),
      verifies_peer_(verifies_peer),
      authority_(authority),
      identity_(fail(ErrorCode::kNoCertificate, "there is no certificate")) {
  X509* own = SSL_CTX_get0_certificate(context);
  if (own == nullptr) return;
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  identity_ = identity_of(own, chain, side, *this);
  not_before_ms_ = tls::time_of(X509_get0_notBefore(own));
  not_after_ms_ = tls::time_of(X509_get0_notAfter(own));
}

TlsContext::~TlsContext() {
  X509_STORE_free(built_in_authorities_);
  SSL_CTX_free(context_);
}

bool TlsContext::attests_built_in(X509* leaf, const STACK_OF(X509) * shown) const {
  if (built_in_authorities_ == nullptr) return rules_.empty();
  return tls::chains_to(leaf, shown, built_in_authorities_);
}

// Reads the settings for peers from `texts`.
Result<TlsContext::Peers> TlsContext::peers_of(const TlsTexts& texts) {
  Peers peers{texts.trust_domain, texts.identities, nullptr};
  if (!texts.built_in_authorities) return peers;
  peers.built_in_authorities.reset(X509_STORE_new());
  if (!peers.built_in_authorities)
    return fail(ErrorCode::kInternal, "OpenSSL has no memory for authorities");
  NOTP_TRY(tls::add_authorities(peers.built_in_authorities.get(), *texts.built_in_authorities));
  return peers;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::load(const TlsFiles& files, Side side) {
  NOTP_ASSIGN(const TlsTexts texts, TlsTexts::read(files));
  return make(texts, side);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsTexts& texts, Side side) {
  NOTP_ASSIGN(Context context, make_context(side, kSessionAlpn, texts.allow_p384));
  NOTP_TRY(tls::use_certificate(context.get(), texts.certificate));
  NOTP_TRY(tls::use_key(context.get(), texts.private_key));
  NOTP_TRY(tls::use_authorities(context.get(), texts.authorities));
  show_chain_without_root(context.get());
  NOTP_ASSIGN(Peers peers, peers_of(texts));
  return std::shared_ptr<const TlsContext>(new TlsContext(context.release(), side, std::move(peers),
                                                          kSessionAlpn.substr(1), true, Hash{}));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::enroll_listener(const TlsFiles& files) {
  NOTP_ASSIGN(const TlsTexts texts, TlsTexts::read(files));
  NOTP_ASSIGN(Context context, make_context(Side::kServer, kEnrollAlpn, texts.allow_p384));
  NOTP_TRY(tls::use_certificate(context.get(), texts.certificate));
  NOTP_TRY(tls::use_key(context.get(), texts.private_key));
  NOTP_TRY(tls::use_authorities(context.get(), texts.authorities));
  NOTP_ASSIGN(const Hash authority, show_whole_chain(context.get(), texts));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  NOTP_ASSIGN(Peers peers, peers_of(texts));
  return std::shared_ptr<const TlsContext>(new TlsContext(
      context.release(), Side::kServer, std::move(peers), kEnrollAlpn.substr(1), false, authority));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::enroll_caller(const Hash& authority,
                                                                    std::string trust_domain) {
  NOTP_ASSIGN(Context context, make_context(Side::kClient, kEnrollAlpn));
  std::shared_ptr<const TlsContext> made(new TlsContext(context.release(), Side::kClient,
                                                        Peers{std::move(trust_domain), {}, nullptr},
                                                        kEnrollAlpn.substr(1), true, authority));
  SSL_CTX_set_cert_verify_callback(made->native(), verify_pinned,
                                   const_cast<Hash*>(&made->authority_));  // NOLINT: only read
  return made;
}

TlsSource::TlsSource(TlsFiles files, Side side, std::shared_ptr<const TlsContext> context,
                     const Hash& digest)
    : side_(side), files_(std::move(files)), context_(std::move(context)), digest_(digest) {}

TlsFiles TlsSource::files() const {
  const MutexLock lock(mutex_);
  return files_;
}

void TlsSource::set_identities(session::IdentityRules rules,
                               std::filesystem::path built_in_authorities) {
  const MutexLock lock(mutex_);
  files_.identities = std::move(rules);
  files_.built_in_authorities = std::move(built_in_authorities);
}

Result<std::unique_ptr<TlsSource>> TlsSource::open(TlsFiles files, Side side) {
  NOTP_ASSIGN(const TlsTexts texts, TlsTexts::read(files));
  NOTP_ASSIGN(auto context, TlsContext::make(texts, side));
  return std::unique_ptr<TlsSource>(
      new TlsSource(std::move(files), side, std::move(context), texts.digest()));
}

Result<bool> TlsSource::reload() {
  NOTP_ASSIGN(const TlsTexts texts, TlsTexts::read(files()));
  const Hash digest = texts.digest();
  {
    const MutexLock lock(mutex_);
    if (digest == digest_) return false;
  }
  NOTP_ASSIGN(auto context, TlsContext::make(texts, side_));
  const MutexLock lock(mutex_);
  context_ = std::move(context);
  digest_ = digest;
  return true;
}

std::shared_ptr<const TlsContext> TlsSource::current() const {
  const MutexLock lock(mutex_);
  return context_;
}

}  // namespace notp::transport
