// The section txn.service of an agent's configuration.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/config.hpp"
#include "common/storage/files.hpp"
#include "notp-client/txn/service_config.hpp"
#include "schemas/embedded.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::txn {
namespace {

constexpr std::string_view kLogin = "issuer: 'https://login.internal', keys: login, audience: shop";

// `subjects`: entries; `more`: further keys of the service.
Result<std::optional<ServiceConfig>> read(std::string_view subjects, std::string_view more = "") {
  const TemporaryFolder temp;
  const auto file = temp.path() / "agent.yaml";
  REQUIRE(write_file(
      file,
      fmt::format("trust_domain: core.internal\ndata_dir: /d\nroot: /r\n"
                  "tls: {{certificate: c, key: k, ca: a}}\nregistry: registry.example:7443\n"
                  "ledgers: [100000000000/txn-keys]\n"
                  "txn:\n  service:\n"
                  "    listen: {{address: '127.0.0.1', certificate: c, key: k, client_ca: a}}\n"
                  "    issuer: https://txn.core.internal\n"
                  "    keys: {{name: txn, ledger: 100000000000/txn-keys}}\n"
                  "    subjects: [{}]\n{}",
                  subjects, more)));
  NOTP_ASSIGN(
      const json::value config,
      load_config(
          {.file = file, .schema = schemas::kAgentConfig, .env_prefix = "X", .environment = {}}));
  return load_service(config::Section(config));
}

std::string mistakes(std::string_view subjects, std::string_view more = "") {
  const auto config = read(subjects, more);
  return config ? std::string() : config.error().message;
}

std::string login(std::string_view more) { return fmt::format("{{{}{}}}", kLogin, more); }

TEST_CASE("an issuer of subject tokens gives access tokens with typ at+jwt, unless it says else") {
  const auto config = read(login(""));
  REQUIRE_MESSAGE(config, config.error().message);
  const SubjectIssuer& subject = (*config)->subjects.at(0);
  CHECK(subject.types == std::vector<std::string>{"access_token"});
  CHECK(subject.access_typ == std::vector<std::string>{"at+jwt"});
  const auto keycloak = read(login(", access_typ: [JWT]"));
  REQUIRE_MESSAGE(keycloak, keycloak.error().message);
  CHECK((*keycloak)->subjects.at(0).access_typ == std::vector<std::string>{"JWT"});
  CHECK(mistakes(login(", access_typ: [id+jwt]")).contains("access_typ"));
  CHECK(mistakes(login(", access_typ: []")).contains("access_typ"));
}

TEST_CASE("ID tokens and access tokens that look alike are not for one audience") {
  const std::string both = ", types: [access_token, id_token], access_typ: [at+jwt, JWT]";
  CHECK(mistakes(login(both)).contains("an ID token of https://login.internal could pass"));
  CHECK(mistakes(login(", types: [access_token, id_token]")).empty());
  const std::string ids =
      "{issuer: 'https://login.internal', keys: login, audience: app, types: [id_token]}";
  CHECK(mistakes(login(", access_typ: [JWT]") + ", " + ids).empty());
  CHECK(mistakes(login("") + ", " + login(", types: [id_token]"))
            .contains("twice for the audience shop"));
}

TEST_CASE("an issuer is asked only about types that it gives, and none escapes by another name") {
  const auto asked = [](std::string_view types, std::string_view more = "") {
    return mistakes(login(fmt::format(
        ", types: [{}], introspection: {{url: 'https://login.internal/introspect', auth: "
        "{{method: client_secret_basic, client_id: a, secret_file: s}}{}}}",
        types, more)));
  };
  CHECK(asked("access_token, id_token", ", opaque: true") == "");
  CHECK(asked("access_token, jwt", ", opaque: true") == "");
  CHECK(asked("jwt") == "");
  CHECK(asked("id_token").contains("leave out introspection"));
  CHECK(asked("jwt", ", opaque: true").contains("add access_token to types"));
  CHECK(asked("jwt, id_token").contains("give id_token an entry of its own"));
  CHECK(asked("access_token, jwt, id_token").contains("give id_token an entry of its own"));
  CHECK(mistakes(login(", types: [jwt, id_token]")) == "");
}

}  // namespace
}  // namespace notp::txn
