// How this side authenticates at an authorization server, and its requests for access tokens: pure,
// except for files of secrets, which are read on use.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config_section.hpp"
#include "common/http/client.hpp"
#include "common/jose/signing_key.hpp"
#include "common/random.hpp"

namespace notp::oauth {

enum class Method : uint8_t {
  kClientSecretBasic,  // RFC 6749 §2.3.1
  kPrivateKeyJwt,      // RFC 7523 §2.2
  kTlsClientAuth,      // RFC 8705 §2.1
};

// The section of a configuration that schemas/config/client_auth.schema.json describes.
struct ClientAuthConfig {
  Method method = Method::kClientSecretBasic;
  std::string client_id;
  // https; written by a person, so that no document of others names it. Empty only if
  // load_client_auth() was told that no access token is needed.
  std::string token_endpoint;
  std::filesystem::path secret_file;               // client_secret_basic
  std::filesystem::path key_file;                  // private_key_jwt: PEM
  std::string kid;                                 // of that key; empty: none is sent
  std::optional<jose::Algorithm> algorithm;        // of that key, for RSA
  std::filesystem::path certificate, private_key;  // tls_client_auth: PEM, may be one file
  std::string scope;                               // of the access token; empty: none is asked for
  std::string resource;                            // RFC 8707; empty: none is asked for
  std::filesystem::path dpop_key_file;             // PEM; empty: a bearer token
};

enum class Purpose : uint8_t {
  kAccessToken,  // token_endpoint is needed
  kClient,       // to authenticate at another endpoint itself
};
// kConfig when a file or URL that the method or purpose needs is missing, or a file of another
// method is there.
Result<ClientAuthConfig> load_client_auth(const config::Section& section,
                                          Purpose purpose = Purpose::kAccessToken);

// The authorization server.
struct Server {
  std::string issuer;              // the audience of assertions
  bool insecure_loopback = false;  // also http://, to this machine
};

// kUsage: neither https nor, where that is allowed, http to this machine; not a URL.
Result<void> check_url(const std::string& url, const Server& server);

// What the files hold. Move-only: the secret is cleansed.
class Credentials {
 public:
  // kConfig names the file, and repeats nothing of it.
  static Result<Credentials> read(const ClientAuthConfig& config);
  Credentials() = default;
  Credentials(Credentials&& other) noexcept;
  Credentials& operator=(Credentials&&) = delete;
  ~Credentials();

  std::string secret;                             // client_secret_basic
  std::optional<jose::SigningKey> assertion_key;  // private_key_jwt
  std::optional<jose::SigningKey> dpop_key;
};

// Returns the value of Authorization (RFC 6749 §2.3.1: both parts are form-encoded first).
std::string basic_authorization(std::string_view client_id, std::string_view secret);

// Makes a client assertion (RFC 7523 §3): iss and sub are the client, aud is the issuer alone, so
// that no other server can use it. kInternal.
Result<std::string> client_assertion(const ClientAuthConfig& config, const Server& server,
                                     const jose::SigningKey& key, TimeMs wall_ms, Random& random);

using FormFields = std::vector<std::pair<std::string_view, std::string_view>>;
// Makes a POST of a form to this server; fields without a value are left out. Errors of
// check_url().
Result<http::Call> form_request(const Server& server, std::string url, const FormFields& fields);
// The same, in which the client authenticates itself (RFC 6749 §2.3), also at other endpoints than
// the token endpoint (RFC 7662 §2.1). The certificate of tls_client_auth is the HTTP client's.
// Errors of check_url(); kInternal.
Result<http::Call> authenticated_form(const ClientAuthConfig& config, const Server& server,
                                      const Credentials& credentials, std::string url,
                                      const FormFields& fields, TimeMs wall_ms, Random& random);

// Makes a request for a token (RFC 6749 §4.4.2), with a DPoP proof if there is a key for it;
// `nonce` is the server's last one, or empty. Errors of check_url(); kInternal.
Result<http::Call> token_request(const ClientAuthConfig& config, const Server& server,
                                 const Credentials& credentials, std::string_view nonce,
                                 TimeMs wall_ms, Random& random);

}  // namespace notp::oauth
