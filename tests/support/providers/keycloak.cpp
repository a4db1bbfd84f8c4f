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

// Further parts of that realm: a transmitter, its receiver, and a user. The two scopes give access
// to streams; a user's token says who that is.
json::value with_events(json::value realm) {
  const json::value more = must(parse_json(R"({
    "attributes": {"ssf.transmitterEnabled": "true"},
    "scopes": [
      {"name": "ssf.read", "protocol": "openid-connect", "attributes": {"include.in.token.scope": "true"}},
      {"name": "ssf.manage", "protocol": "openid-connect", "attributes": {"include.in.token.scope": "true"}}],
    "receiver": {
      "clientId": "receiver", "secret": "receiver-secret", "publicClient": false,
      "serviceAccountsEnabled": true, "standardFlowEnabled": false,
      "optionalClientScopes": ["ssf.read", "ssf.manage"],
      "attributes": {"ssf.enabled": "true", "ssf.defaultSubjects": "ALL"}},
    "subject": {
      "name": "subject", "protocol": "openid-connect", "protocolMapper": "oidc-sub-mapper",
      "config": {"access.token.claim": "true"}},
    "users": [{
      "username": "ana", "enabled": true, "email": "ana@core-platform.internal",
      "emailVerified": true, "firstName": "Ana", "lastName": "Lima"}]})"));
  json::object& out = realm.as_object();
  out["attributes"] = more.at("attributes");
  for (const json::value& scope : more.at("scopes").as_array())
    out["clientScopes"].as_array().push_back(scope);
  json::object& app = out["clients"].as_array().at(0).as_object();
  app["directAccessGrantsEnabled"] = true;
  app["protocolMappers"].as_array().push_back(more.at("subject"));
  out["clients"].as_array().push_back(more.at("receiver"));
  out["users"] = more.at("users");
  return realm;
}

}  // namespace

Keycloak::Keycloak(ProviderSetup setup, const std::filesystem::path& home, bool with_events)
    : OpenIdProvider(std::move(setup)),
      port_(free_port()),
      home_(setup_.folder / "keycloak"),
      with_events_(with_events) {
  std::filesystem::copy(home, home_, std::filesystem::copy_options::recursive);
  start();
}

std::string Keycloak::url(std::string_view path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

void Keycloak::start() {
  const auto log = setup_.folder / "keycloak.log";
  std::vector<std::string> command = {home_ / "bin/kc.sh", "start-dev", "--db=dev-mem",
                                      "--http-host=127.0.0.1",
                                      fmt::format("--http-port={}", port_)};
  // Events are made outside of a request, which could tell the issuer.
  if (with_events_) command.insert(command.end(), {"--features=ssf", "--hostname=" + url("")});
  process_ = std::make_unique<Process>(
      ProcessOptions{.command = std::move(command),
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

void Keycloak::make_realm() const {
  admin("POST", "", with_events_ ? with_events(realm_document()) : realm_document());
  if (with_events_)
    admin("PUT", path_of_user() + "/reset-password",
          json::object{{"type", "password"}, {"value", password()}, {"temporary", false}});
}

std::string Keycloak::password() const { return fmt::format("ana-{}", passwords_); }

std::string Keycloak::path_of_user() const {
  const json::value found = admin("GET", "/notp/users?username=ana");
  return "/notp/users/" + text_at(found.as_array().at(0), "id");
}

http::Response Keycloak::post_as_app(const std::string& endpoint, const std::string& form) const {
  return call({.method = "POST",
               .url = url("/realms/notp/protocol/openid-connect/" + endpoint),
               .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
               .body = "client_id=app&client_secret=app-secret&" + form,
               .deadline_ms = 30'000});
}

Keycloak::UserSession Keycloak::log_in() const {
  const http::Response answer =
      post_as_app("token", "grant_type=password&scope=orders&username=ana&password=" + password());
  if (answer.status != 200)
    throw std::runtime_error(fmt::format("ana cannot log in: {}", answer.body));
  const json::value tokens = must(parse_json(answer.body));
  return {text_at(tokens, "access_token"), text_at(tokens, "refresh_token")};
}

void Keycloak::log_out(const UserSession& session) const {
  const http::Response answer = post_as_app("logout", "refresh_token=" + session.refresh_token);
  if (answer.status >= 300)
    throw std::runtime_error(fmt::format("ana cannot log out: {}", answer.body));
}

void Keycloak::end_all_sessions() const { admin("POST", path_of_user() + "/logout"); }

void Keycloak::set_password() {
  ++passwords_;
  admin("PUT", path_of_user() + "/reset-password",
        json::object{{"type", "password"}, {"value", password()}, {"temporary", false}});
}

void Keycloak::revoke(const std::string& token) const {
  const http::Response answer = post_as_app("revoke", "token=" + token);
  if (answer.status >= 300)
    throw std::runtime_error(fmt::format("a token cannot be revoked: {}", answer.body));
}

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
