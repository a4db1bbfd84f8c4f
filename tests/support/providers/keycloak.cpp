#include "tests/support/providers/keycloak.hpp"

#include <fmt/format.h>

#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

constexpr std::string_view kKeyProvider = "org.keycloak.keys.KeyProvider";
constexpr milliseconds kStartPatience{300'000};

// A client that gets tokens for "orders" and may ask for the scope of that name.
json::value realm_document() {
  return must(parse_json(R"({
    "realm": "notp", "enabled": true, "accessTokenLifespan": 3600,
    "clientScopes": [{"name": "orders", "protocol": "openid-connect"}],
    "clients": [{
      "clientId": "app", "secret": "app-secret", "publicClient": false, "serviceAccountsEnabled": true,
      "standardFlowEnabled": false, "optionalClientScopes": ["orders"],
      "protocolMappers": [{
        "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": {"included.custom.audience": "orders", "access.token.claim": "true"}}]}]})"));
}

}  // namespace

Keycloak::Keycloak(ProviderSetup setup, const std::filesystem::path& home)
    : OpenIdProvider(std::move(setup)), port_(free_port()), home_(setup_.folder / "keycloak") {
  std::filesystem::copy(home, home_, std::filesystem::copy_options::recursive);
  start();
}

std::string Keycloak::url(std::string_view path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

void Keycloak::start() {
  const auto log = setup_.folder / "keycloak.log";
  process_ = std::make_unique<Process>(
      ProcessOptions{.command = {home_ / "bin/kc.sh", "start-dev", "--db=dev-mem",
                                 "--http-host=127.0.0.1", fmt::format("--http-port={}", port_)},
                     .folder = setup_.folder,
                     .environment = {{"KC_BOOTSTRAP_ADMIN_USERNAME", "admin"},
                                     {"KC_BOOTSTRAP_ADMIN_PASSWORD", "admin"},
                                     {"JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m"}},
                     .output_file = log,
                     .error_file = log});
  const bool answers = wait_until(
      [&] {
        const auto answer = http::call_blocking({.url = url("/realms/master")});
        return (answer && answer->status == 200) || !process_->is_running();
      },
      kStartPatience);
  if (!answers || !process_->is_running())
    throw std::runtime_error("Keycloak does not start: " + process_->error());
  make_realm();
  issuer_ = url("/realms/notp");
  discover();
}

std::string Keycloak::admin_token() const {
  const json::value answer =
      post_form(url("/realms/master/protocol/openid-connect/token"),
                "grant_type=password&client_id=admin-cli&username=admin&password=admin", {});
  return text_at(answer, "access_token");
}

json::value Keycloak::admin(const std::string& method, const std::string& path,
                            const json::value& document) const {
  http::Call request{.method = method,
                     .url = url("/admin/realms" + path),
                     .headers = {{"Authorization", "Bearer " + admin_token()}},
                     .body = document.is_null() ? Bytes() : json::serialize(document)};
  if (!document.is_null()) request.headers.emplace_back("Content-Type", "application/json");
  const http::Response answer = call(std::move(request));
  if (answer.status >= 300)
    throw std::runtime_error(
        fmt::format("Keycloak answers {} to {} {}: {}", answer.status, method, path, answer.body));
  return answer.body.empty() ? json::value() : must(parse_json(answer.body));
}

void Keycloak::make_realm() const { admin("POST", "", realm_document()); }

void Keycloak::rotate() {
  const std::string realm = text_at(admin("GET", "/notp"), "id");
  const std::string priority = fmt::to_string(++priority_);
  admin("POST", "/notp/components",
        json::object{{"name", "rsa-" + priority},
                     {"providerId", "rsa-generated"},
                     {"providerType", kKeyProvider},
                     {"parentId", realm},
                     {"config", json::object{{"priority", json::array{priority}},
                                             {"enabled", json::array{"true"}},
                                             {"active", json::array{"true"}},
                                             {"algorithm", json::array{"RS256"}},
                                             {"keySize", json::array{"2048"}}}}});
}

void Keycloak::retire() {
  const std::string newest = fmt::format("rsa-{}", priority_);
  const json::value components =
      admin("GET", fmt::format("/notp/components?type={}", kKeyProvider));
  for (const json::value& component : components.as_array())
    if (text_at(component, "providerId") == "rsa-generated" && text_at(component, "name") != newest)
      admin("DELETE", "/notp/components/" + text_at(component, "id"));
}

}  // namespace notp
