#include "tools/bench/control_tls.hpp"

#include <openssl/err.h>

#include "common/storage/files.hpp"
#include "common/tls/groups.hpp"
#include "tools/pki/pki.hpp"

namespace notp::bench {
namespace {

constexpr int64_t kDays = 10;
// As protocol/transport/tls_context.cpp, which keeps both to itself.
constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr long kModes = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN;

Result<void> make_leaf(const pki::Credential& authority, const std::filesystem::path& folder,
                       const std::string& name, bool is_server) {
  pki::LeafOptions leaf;
  leaf.common_name = name;
  leaf.uris = {"spiffe://bench.internal/node/" + name};
  leaf.addresses = {"127.0.0.1"};
  leaf.validity = pki::Validity::days(read_clock().wall_ms, kDays);
  leaf.server_auth = is_server;
  leaf.client_auth = !is_server;
  NOTP_ASSIGN(const pki::Credential issued, pki::issue(authority, leaf));
  NOTP_TRY(write_file(folder / (name + ".crt"), issued.certificate_pem));
  return write_file(folder / (name + ".key"), issued.key_pem);
}

}  // namespace

Result<void> make_control_certificates(const std::filesystem::path& folder) {
  NOTP_TRY(make_folders(folder));
  NOTP_ASSIGN(const pki::Credential authority,
              pki::make_authority("controls", pki::Validity::days(read_clock().wall_ms, kDays)));
  NOTP_TRY(write_file(folder / "ca.crt", authority.certificate_pem));
  NOTP_TRY(make_leaf(authority, folder, "server", /*is_server=*/true));
  return make_leaf(authority, folder, "client", /*is_server=*/false);
}

Result<ControlTls> control_tls(const std::filesystem::path& folder, bool is_server) {
  ControlTls tls(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
  const std::string name = is_server ? "server" : "client";
  if (!tls || SSL_CTX_set_min_proto_version(tls.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(tls.get(), kCipherSuites) != 1 ||
      SSL_CTX_set1_groups_list(
          tls.get(), is_server ? notp::tls::kServerGroups : notp::tls::kClientGroups) != 1 ||
      SSL_CTX_set_num_tickets(tls.get(), 0) != 1 ||
      SSL_CTX_load_verify_file(tls.get(), (folder / "ca.crt").c_str()) != 1 ||
      SSL_CTX_use_certificate_file(tls.get(), (folder / (name + ".crt")).c_str(),
                                   SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls.get(), (folder / (name + ".key")).c_str(),
                                  SSL_FILETYPE_PEM) != 1)
    return fail(ErrorCode::kConfig, "OpenSSL refuses the settings of a control");
  SSL_CTX_set_session_cache_mode(tls.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(tls.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(tls.get(), kModes);
  SSL_CTX_set_read_ahead(tls.get(), 1);
  return tls;
}

ControlWait control_wait(const SSL* session, int result) {
  if (result > 0) return ControlWait::kNothing;
  const int error = SSL_get_error(session, result);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ    ? ControlWait::kRead
         : error == SSL_ERROR_WANT_WRITE ? ControlWait::kWrite
                                         : ControlWait::kEnded;
}

}  // namespace notp::bench
