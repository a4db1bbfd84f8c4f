#include "common/oauth/client_auth.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>

#include "common/http/guard.hpp"
#include "common/http/url.hpp"
#include "common/oauth/dpop.hpp"
#include "common/oauth/oauth_limits.hpp"
#include "common/percent.hpp"
#include "common/storage/private_files.hpp"

namespace notp::oauth {
namespace {

constexpr std::string_view kAssertionType =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct MethodFiles {
  std::string_view name;
  Method method;
  std::string_view file;  // the key that it needs, and no other method has
};
constexpr std::array<MethodFiles, 3> kMethods = {{
    {"client_secret_basic", Method::kClientSecretBasic, "secret_file"},
    {"private_key_jwt", Method::kPrivateKeyJwt, "key_file"},
    {"tls_client_auth", Method::kTlsClientAuth, "certificate"},
}};

// RFC 6749 appendix B: application/x-www-form-urlencoded.
std::string form_encoded(std::string_view text) {
  std::string out = percent_encode(text, "-._* ");
  std::ranges::replace(out, ' ', '+');
  return out;
}

void add_field(std::string& form, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  form += fmt::format("{}{}={}", form.empty() ? "" : "&", name, form_encoded(value));
}

Result<std::string> read_secret(const std::filesystem::path& file) {
  NOTP_ASSIGN(Bytes secret, read_private_file(file, kSecretBytesMax));
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty())
    return fail(ErrorCode::kConfig,
                fmt::format("{} is empty; it must hold the client's secret", file.string()));
  return secret;
}

}  // namespace

Result<ClientAuthConfig> load_client_auth(const config::Section& section, Purpose purpose) {
  ClientAuthConfig out;
  const std::string method = section.text("method");
  for (const MethodFiles& row : kMethods) {
    if (row.name == method) out.method = row.method;
    if (section.has(row.file) == (row.name == method)) continue;
    return fail(ErrorCode::kConfig,
                fmt::format("method {} {} {}", method,
                            row.name == method ? "needs" : "has nothing to do with", row.file));
  }
  out.client_id = section.text("client_id");
  out.token_endpoint = section.text_or_empty("token_endpoint");
  if (out.token_endpoint.empty() && purpose == Purpose::kAccessToken)
    return fail(ErrorCode::kConfig, "token_endpoint is missing: the URL that gives access tokens");
  out.secret_file = section.text_or_empty("secret_file");
  out.key_file = section.text_or_empty("key_file");
  out.kid = section.text_or_empty("kid");
  out.algorithm = jose::algorithm_of(section.text_or_empty("algorithm"));
  if (out.key_file.empty() && (!out.kid.empty() || out.algorithm))
    return fail(ErrorCode::kConfig, "kid and algorithm are those of key_file, which is missing");
  out.certificate = section.text_or_empty("certificate");
  out.private_key = section.text_or_empty("key");
  if (out.certificate.empty() && !out.private_key.empty())
    return fail(ErrorCode::kConfig, "key is that of a certificate, which is missing");
  if (out.private_key.empty()) out.private_key = out.certificate;
  out.scope = section.text_or_empty("scope");
  out.resource = section.text_or_empty("resource");
  out.dpop_key_file = section.text_or_empty("dpop_key_file");
  return out;
}

// Copied, as a move leaves a short string's bytes behind.
Credentials::Credentials(Credentials&& other) noexcept
    : secret(other.secret),
      assertion_key(std::move(other.assertion_key)),
      dpop_key(std::move(other.dpop_key)) {
  OPENSSL_cleanse(other.secret.data(), other.secret.size());
}

Credentials::~Credentials() { OPENSSL_cleanse(secret.data(), secret.size()); }

Result<Credentials> Credentials::read(const ClientAuthConfig& config) {
  Credentials out;
  if (config.method == Method::kClientSecretBasic) {
    NOTP_ASSIGN(out.secret, read_secret(config.secret_file));
  }
  if (config.method == Method::kPrivateKeyJwt) {
    NOTP_ASSIGN(out.assertion_key, jose::SigningKey::load(config.key_file, config.algorithm));
  }
  if (!config.dpop_key_file.empty()) {
    NOTP_ASSIGN(out.dpop_key, jose::SigningKey::load(config.dpop_key_file));
  }
  return out;
}

Result<void> check_url(const std::string& text, const Server& server) {
  NOTP_ASSIGN(const http::Url url, http::Url::parse(text));
  if (url.is_tls || (server.insecure_loopback && http::names_loopback(url.at.host))) return {};
  return fail(
      ErrorCode::kUsage,
      fmt::format("{} is not https: neither secrets nor tokens are sent there", printable(text)));
}

std::string basic_authorization(std::string_view client_id, std::string_view secret) {
  return fmt::format(
      "Basic {}", to_base64(fmt::format("{}:{}", form_encoded(client_id), form_encoded(secret))));
}

Result<std::string> client_assertion(const ClientAuthConfig& config, const Server& server,
                                     const jose::SigningKey& key, TimeMs wall_ms, Random& random) {
  json::object header{{"typ", "JWT"}};
  if (!config.kid.empty()) header.emplace("kid", config.kid);
  const TimeMs seconds = wall_ms / 1'000;
  return jose::sign_token(header,
                          {{"iss", config.client_id},
                           {"sub", config.client_id},
                           {"aud", server.issuer},
                           {"jti", random_id(random)},
                           {"iat", seconds},
                           {"exp", seconds + kAssertionLifeMs / 1'000}},
                          key);
}

Result<http::Call> form_request(const Server& server, std::string url, const FormFields& fields) {
  NOTP_TRY(check_url(url, server));
  http::Call call{.method = "POST",
                  .url = std::move(url),
                  .headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                              {"Accept", "application/json"}},
                  .body = {},
                  .deadline_ms = kTokenCallMs,
                  .answer_bytes_max = kTokenAnswerBytesMax};
  for (const auto& [name, value] : fields) add_field(call.body, name, value);
  return call;
}

Result<http::Call> authenticated_form(const ClientAuthConfig& config, const Server& server,
                                      const Credentials& credentials, std::string url,
                                      const FormFields& fields, TimeMs wall_ms, Random& random) {
  NOTP_ASSIGN(http::Call call, form_request(server, std::move(url), fields));
  if (config.method == Method::kClientSecretBasic) {
    call.headers.emplace_back("Authorization",
                              basic_authorization(config.client_id, credentials.secret));
  } else {
    add_field(call.body, "client_id", config.client_id);
  }
  if (config.method == Method::kPrivateKeyJwt && credentials.assertion_key) {
    NOTP_ASSIGN(const std::string assertion,
                client_assertion(config, server, *credentials.assertion_key, wall_ms, random));
    add_field(call.body, "client_assertion_type", kAssertionType);
    add_field(call.body, "client_assertion", assertion);
  }
  return call;
}

Result<http::Call> token_request(const ClientAuthConfig& config, const Server& server,
                                 const Credentials& credentials, std::string_view nonce,
                                 TimeMs wall_ms, Random& random) {
  NOTP_ASSIGN(http::Call call,
              authenticated_form(config, server, credentials, config.token_endpoint,
                                 {{"grant_type", "client_credentials"},
                                  {"scope", config.scope},
                                  {"resource", config.resource}},
                                 wall_ms, random));
  if (credentials.dpop_key) {
    NOTP_ASSIGN(
        std::string proof,
        dpop_proof(*credentials.dpop_key,
                   {.method = call.method, .url = call.url, .access_token = {}, .nonce = nonce},
                   wall_ms, random));
    call.headers.emplace_back("DPoP", std::move(proof));
  }
  return call;
}

}  // namespace notp::oauth
