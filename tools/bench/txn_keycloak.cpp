#include "tools/bench/txn_keycloak.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/agent_arm.hpp"
#include "tools/bench/opa_arm.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kStartMs = 300'000, kStopMs = 60'000, kAnswerMs = 60'000;
constexpr int kPollMs = 200;
constexpr unsigned kOk = 200, kRedirect = 300;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";
constexpr std::string_view kToken = "/realms/{}/protocol/openid-connect/token";
constexpr std::string_view kUser = "client_id=shop&client_secret=shop-secret";

// One client that logs its user in and exchanges the tokens; both sides sign and verify ES256, as
// the service does.
constexpr std::string_view kRealm = R"({
  "realm": "bench", "enabled": true, "accessTokenLifespan": 3600, "ssoSessionIdleTimeout": 7200,
  "defaultSignatureAlgorithm": "ES256",
  "clientScopes": [{"name": "orders", "protocol": "openid-connect",
                    "attributes": {"include.in.token.scope": "true"}}],
  "clients": [{
    "clientId": "shop", "secret": "shop-secret", "publicClient": false,
    "standardFlowEnabled": false, "directAccessGrantsEnabled": true,
    "attributes": {"standard.token.exchange.enabled": "true",
                   "access.token.signed.response.alg": "ES256"},
    "defaultClientScopes": ["basic"], "optionalClientScopes": ["orders"],
    "protocolMappers": [{
      "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
      "config": {"included.client.audience": "shop", "access.token.claim": "true"}}]}],
  "users": [{"username": "ana", "enabled": true, "email": "ana@bench.internal",
             "emailVerified": true, "firstName": "Ana", "lastName": "Lima",
             "credentials": [{"type": "password", "value": "ana-1", "temporary": false}]}]})";

}  // namespace

Result<std::unique_ptr<KeycloakArm>> KeycloakArm::start(KeycloakFiles files) {
  std::unique_ptr<KeycloakArm> arm(new KeycloakArm(std::move(files)));
  NOTP_TRY(make_folders(arm->files_.folder));
  std::error_code failed;
  std::filesystem::copy(arm->files_.home, arm->files_.folder / "keycloak",
                        std::filesystem::copy_options::recursive, failed);
  if (failed) return fail(ErrorCode::kIo, "Keycloak cannot be copied: " + failed.message());
  NOTP_ASSIGN(arm->port_, free_port());
  NOTP_ASSIGN(arm->tls_port_, free_port());
  NOTP_TRY(arm->run_copy());
  NOTP_TRY(arm->make_realm());
  return arm;
}

Result<void> KeycloakArm::run_copy() {
  Command command;
  command.words = {(files_.folder / "keycloak/bin/kc.sh").string(),
                   "start-dev",
                   "--db=dev-mem",
                   "--log-level=WARN",
                   "--http-host=127.0.0.1",
                   fmt::format("--http-port={}", port_),
                   fmt::format("--https-port={}", tls_port_),
                   "--https-certificate-file=" + files_.certificate.string(),
                   "--https-certificate-key-file=" + files_.key.string(),
                   fmt::format("--hostname=http://127.0.0.1:{}", port_)};
  command.folder = files_.folder;
  command.log = files_.folder / "keycloak.log";
  command.environment = {{"KC_BOOTSTRAP_ADMIN_USERNAME", "admin"},
                         {"KC_BOOTSTRAP_ADMIN_PASSWORD", "admin"},
                         {"JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx1g"}};
  NOTP_ASSIGN(process_, Child::start(command));
  const TimeMs deadline_ms = read_clock().boot_ms + kStartMs;
  for (;;) {
    const auto answer =
        http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/realms/master", port_),
                             .headers = {},
                             .body = {}});
    if (answer && answer->status == kOk) return {};
    if (process_->poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kUnavailable, "Keycloak does not start:\n" + log_tail(command.log));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<json::value> KeycloakArm::ask(const std::string& path, std::string body, std::string type,
                                     const std::string& bearer) const {
  http::Call call{.method = "POST",
                  .url = fmt::format("http://127.0.0.1:{}{}", port_, path),
                  .headers = {{"Content-Type", std::move(type)}},
                  .body = std::move(body),
                  .deadline_ms = kAnswerMs};
  if (!bearer.empty()) call.headers.emplace_back("Authorization", "Bearer " + bearer);
  NOTP_ASSIGN(const http::Response answer, http::call_blocking(std::move(call)));
  if (answer.status >= kRedirect)
    return fail(ErrorCode::kUnavailable,
                fmt::format("Keycloak answers {} to {}: {}", answer.status, path, answer.body));
  return answer.body.empty() ? json::value() : parse_json(answer.body);
}

Result<std::string> KeycloakArm::log_in(const std::string& realm, const std::string& form) const {
  NOTP_ASSIGN(const json::value answer, ask(fmt::format(kToken, realm),
                                            "grant_type=password&" + form, std::string(kForm), {}));
  const json::value* token = answer.as_object().if_contains("access_token");
  if (!token || !token->is_string())
    return fail(ErrorCode::kUnavailable, "Keycloak answers a login without a token");
  return std::string(token->get_string());
}

Result<void> KeycloakArm::make_realm() const {
  NOTP_ASSIGN(const std::string admin,
              log_in("master", "client_id=admin-cli&username=admin&password=admin"));
  NOTP_TRY(ask("/admin/realms", std::string(kRealm), "application/json", admin));
  return {};
}

Result<std::vector<Bytes>> KeycloakArm::requests(size_t count) const {
  std::vector<Bytes> out;
  for (size_t i = 0; i < count; ++i) {
    NOTP_ASSIGN(const std::string token,
                log_in("bench", fmt::format("{}&scope=orders&username=ana&password=ana-1", kUser)));
    const std::string form = fmt::format(
        "{}&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={}&"
        "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=orders",
        kUser, token);
    out.push_back(
        fmt::format("POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: {}\r\nContent-Length: "
                    "{}\r\n\r\n{}",
                    fmt::format(kToken, "bench"), tls_port_, kForm, form.size(), form));
  }
  return out;
}

PdpAddress KeycloakArm::address(const LoadTls& tls) const {
  return {.port = tls_port_, .socket = {}, .tls = tls};
}

std::string KeycloakArm::version() const { return files_.home.filename().string(); }

Result<void> KeycloakArm::stop() {
  // A JVM that SIGTERM ends reports it as its status.
  if (const auto stopped = process_->stop(kStopMs);
      !stopped && stopped.error().code == ErrorCode::kTimeout)
    return stopped;
  return {};
}

}  // namespace notp::bench
