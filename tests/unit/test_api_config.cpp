// notp-client/api/api_config: the agent's listeners and access rules.
#include <doctest/doctest.h>

#include "common/config.hpp"
#include "common/storage/files.hpp"
#include "notp-client/api/api_config.hpp"
#include "schemas/embedded.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace notp;

namespace {

const std::string kBase =
    "trust_domain: core.internal\ndata_dir: /d\nroot: /r\ntls: {certificate: c, key: k, ca: a}\n"
    "registry: registry.example:7443\nledgers: [100000000000/payments]\n";

Result<api::ApiConfig> read(std::string_view more) {
  const TemporaryFolder temp;
  const auto file = temp.path() / "agent.yaml";
  REQUIRE(write_file(file, kBase + std::string(more)));
  NOTP_ASSIGN(
      const json::value config,
      load_config(
          {.file = file, .schema = schemas::kAgentConfig, .env_prefix = "X", .environment = {}}));
  return api::ApiConfig::load(config::Section(config), "core.internal");
}

std::string mistakes(std::string_view more) {
  const auto config = read(more);
  return config ? std::string() : config.error().message;
}

}  // namespace

TEST_CASE("by default an agent listens on loopback alone") {
  const auto config = read("");
  REQUIRE_MESSAGE(config.has_value(), config.error().message);
  REQUIRE(config->listen);
  CHECK(config->listen->address == "127.0.0.1");
  CHECK(config->listen->port == 8282);
  CHECK_FALSE(config->listen->beyond_loopback);
  CHECK_FALSE(config->listen_unix);
  CHECK_FALSE(config->listen_tls);
  CHECK_FALSE(config->health_listen);
  CHECK(config->body_bytes_max == 1 << 20);
  CHECK(config->gzip_body_bytes_max == 1 << 20);
  CHECK(config->default_decision == std::vector<std::string>{"system", "main"});
  CHECK(config->authzen_path == std::vector<std::string>{"authzen", "allow"});
  CHECK_FALSE(config->access_rules("core.internal")->has_tokens);
}

TEST_CASE("all listeners, rules and limits are read") {
  const auto config = read(
      "listen: none\nlisten_unix: {path: /run/notp.sock, group: pdp}\n"
      "listen_tls: {address: '[::]:8443', certificate: c, key: k, client_ca: a}\n"
      "health_listen: 0.0.0.0:8283\napi_token: /etc/tokens\nhosts: [pdp.example]\n"
      "peps:\n- {identity: 'spiffe://core.internal/ns/*', paths: ['shop/*'], at_once: 4}\n"
      "- {token: till, paths: ['*']}\n"
      "limits: {body_bytes: 8388608, gzip_body_bytes: 2048, connections: 16}\n"
      "default_decision: /shop/allow\nauthzen: {path: shop/authzen}\n");
  REQUIRE_MESSAGE(config.has_value(), config.error().message);
  CHECK_FALSE(config->listen);
  CHECK(config->listen_unix->path == "/run/notp.sock");
  CHECK(config->listen_unix->mode == 0660);
  CHECK(config->listen_unix->group == "pdp");
  CHECK(config->listen_tls->address == "::");
  CHECK(config->listen_tls->port == 8443);
  CHECK(config->listen_tls->client_certificate == http::ClientCertificate::kOptional);
  CHECK(config->health_listen->beyond_loopback);
  CHECK(config->health_listen->address == "0.0.0.0");
  REQUIRE(config->peps.size() == 2);
  CHECK(config->peps[0].at_once == 4);
  CHECK(config->peps[1].token == "till");
  CHECK(config->body_bytes_max == 8388608);
  CHECK(config->gzip_body_bytes_max == 2048);
  CHECK(config->connections_max == 16);
  CHECK(config->default_decision == std::vector<std::string>{"shop", "allow"});
  CHECK(config->authzen_path == std::vector<std::string>{"shop", "authzen"});
  CHECK(config->access_rules("core.internal").error().message.contains("/etc/tokens"));
}

TEST_CASE("what cannot work is said in one go, in words for people") {
  const std::string outside = mistakes("listen: 0.0.0.0:8282\n");
  CHECK(outside.contains("listen: \"0.0.0.0:8282\" is not such a value"));
  CHECK(outside.contains("listen_tls"));
  CHECK_FALSE(outside.contains("6553"));

  const std::string peps = mistakes(
      "api_token: t\npeps:\n- {token: a, paths: ['x//y', '*/a']}\n"
      "- {identity: 'spiffe://other/a', paths: ['a']}\n");
  CHECK(peps.contains("peps.0.paths: 'x//y'"));
  CHECK(peps.contains("peps.0.paths: '*/a'"));
  CHECK(peps.contains("peps.1.identity: 'spiffe://other/a'"));
  CHECK(peps.contains("needs listen_tls"));
  CHECK(mistakes("peps: [{token: a, paths: [a]}]\n").contains("api_token"));
  CHECK(mistakes("peps: [{token: a, identity: 'spiffe://core.internal/a', paths: [a]}]\n")
            .contains("peps.0"));
  CHECK(mistakes("listen: none\npdp: {kind: opa}\n").contains("OPA"));
  CHECK(mistakes("listen_unix: {path: relative}\n").contains("listen_unix.path"));
  CHECK(mistakes("listen_unix: {path: /a, mode: '0999'}\n").contains("listen_unix.mode"));
  CHECK(mistakes("listen_tls: {address: '0.0.0.0:1', certificate: c}\n").contains("client_ca"));
  CHECK(mistakes("health_listen: somewhere\n").contains("health_listen"));
  CHECK(mistakes("limits: {body_bytes: 1}\n").contains("limits.body_bytes"));
}
