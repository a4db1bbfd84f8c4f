#include "common/http/client_tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "common/bytes.hpp"
#include "common/c_ptr.hpp"
#include "common/tls/certificates.hpp"
#include "common/tls/groups.hpp"
#include "common/tls/peer_chain.hpp"

namespace notp::http {
namespace {

using Context = CPointer<SSL_CTX, SSL_CTX_free>;

constexpr std::string_view kPinFront = "sha256//";
constexpr std::string_view kAlpn = "\x08http/1.1";  // length-prefixed, RFC 7301 §3.1

bool is_address(const std::string& host) {
  boost::system::error_code error;
  boost::asio::ip::make_address(host, error);
  return !error;
}

Result<Context> make_context() {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), tls::kTls12Ciphers) != 1 ||
      SSL_CTX_set1_groups_list(context.get(), tls::kClientGroups) != 1 ||
      SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(kAlpn.data()),
                              static_cast<unsigned>(kAlpn.size())) != 0)
    return fail(ErrorCode::kInternal, "OpenSSL does not accept the TLS settings");
  // A stream that ends without close_notify was cut: SSL_OP_IGNORE_UNEXPECTED_EOF stays off.
  SSL_CTX_set_options(context.get(),
                      SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_verify_depth(context.get(), tls::kIntermediatesMax);
  SSL_CTX_set_read_ahead(context.get(), 1);  // one recv for a record's header and body
  return context;
}

Result<void> use_authorities(SSL_CTX* context, const std::filesystem::path& file) {
  if (!file.empty()) {
    NOTP_ASSIGN(const tls::Pem authorities, tls::read_pem(file));
    return tls::use_authorities(context, authorities);
  }
  if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
  ERR_clear_error();
  return fail(ErrorCode::kConfig, "the system's CA certificates cannot be read; name a CA file");
}

Result<void> use_identity(SSL_CTX* context, const ClientTlsFiles& files) {
  if (files.certificate.empty()) return {};
  NOTP_ASSIGN(const tls::Pem certificate, tls::read_pem(files.certificate));
  NOTP_TRY(tls::use_certificate(context, certificate));
  // A shared file is read once: it may be replaced between two reads.
  if (files.private_key == files.certificate) return tls::use_key(context, certificate);
  NOTP_ASSIGN(const tls::Pem key, tls::read_pem(files.private_key));
  return tls::use_key(context, key);
}

// Returns the hash of a certificate's SubjectPublicKeyInfo; zero when it cannot be encoded.
Hash public_key_hash(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  const Hash hash = sha256({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
  return hash;
}

}  // namespace

Result<Hash> parse_pin(std::string_view text) {
  if (text.starts_with(kPinFront))
    if (const auto bytes = from_base64(text.substr(kPinFront.size())))
      if (auto hash = Hash::from_bytes(*bytes)) return hash;
  return fail(ErrorCode::kConfig,
              fmt::format("'{}' is not a pin: sha256// and the SHA-256 of the public key in base64",
                          printable(text)));
}

Result<ClientTlsPtr> ClientTls::load(const ClientTlsFiles& files) {
  NOTP_ASSIGN(Context context, make_context());
  NOTP_TRY(use_authorities(context.get(), files.authorities));
  NOTP_TRY(use_identity(context.get(), files));
  return ClientTlsPtr(new ClientTls(context.release(), files.pins));
}

ClientTls::~ClientTls() { SSL_CTX_free(context_); }

Result<void> ClientTls::start(Stream& stream, const std::string& host) const {
  const auto refuse = [&] {
    ERR_clear_error();
    return fail(ErrorCode::kInternal, fmt::format("TLS cannot be set up for {}", printable(host)));
  };
  if (!stream.start_tls(context_, Stream::Side::kClient)) return refuse();
  SSL* ssl = stream.ssl();
  if (is_address(host)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) != 1) return refuse();
    return {};
  }
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set1_host(ssl, host.c_str()) != 1 || SSL_set_tlsext_host_name(ssl, host.c_str()) != 1)
    return refuse();
  return {};
}

Result<void> ClientTls::check_pins(const Stream& stream, const std::string& host) const {
  if (pins_.empty()) return {};
  const X509* const certificate = SSL_get0_peer_certificate(stream.ssl());
  const Hash shown = certificate == nullptr ? Hash() : public_key_hash(certificate);
  if (!shown.is_zero() && std::ranges::find(pins_, shown) != pins_.end()) return {};
  ERR_clear_error();
  return fail(ErrorCode::kCertificateUntrusted,
              fmt::format("the public key of {} is {}{}, which is not pinned", printable(host),
                          kPinFront, to_base64(shown.view())));
}

Error ClientTls::reason(const Stream& stream, const std::string& host) {
  const unsigned long code = ERR_peek_error();
  const char* text = ERR_reason_error_string(code);
  ERR_clear_error();
  const long verified = SSL_get_verify_result(stream.ssl());
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
    return {ErrorCode::kCertificateUntrusted,
            fmt::format("the server's certificate is not for {}; ask by a name that it has, or "
                        "have one issued for this name",
                        printable(host)),
            {}};
  if (verified != X509_V_OK) return tls::peer_not_trusted(verified);
  if (ERR_GET_REASON(code) == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
    return {ErrorCode::kNoCertificate, "the server asks for a client certificate", {}};
  if (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return {ErrorCode::kUnavailable, "the connection ended within TLS; is it a TLS port?", {}};
  return {ErrorCode::kTls,
          fmt::format("TLS failed: {}", text == nullptr ? "OpenSSL gave no reason" : text),
          {}};
}

}  // namespace notp::http
