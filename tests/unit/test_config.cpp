// common/json/yaml and common/config: configuration files, their schemas, and the environment.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include "common/config.hpp"
#include "common/config_section.hpp"
#include "common/json/json_schema.hpp"
#include "common/json/yaml.hpp"
#include "common/limits.hpp"
#include "common/log_config.hpp"
#include "common/storage/files.hpp"
#include "schemas/embedded.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace notp;
using namespace std::string_literals;

namespace {

const std::string kServer =
    "trust_domain: core.internal\ndata_dir: /var/lib/notp\nroot: /etc/notp/root\n"
    "tls:\n  certificate: c.pem\n  key: k.pem\n  ca: ca.pem\n";

const std::string kAgent =
    kServer + "registry: registry.example:7443\nledgers: [100000000000/payments]\n";

Result<json::value> load(std::string_view schema, std::string_view text,
                         const Environment& environment = {},
                         const std::string& name = "config.yaml") {
  const TemporaryFolder temp;
  const auto file = temp.path() / name;
  REQUIRE(write_file(file, text));
  return load_config(
      {.file = file, .schema = schema, .env_prefix = "NOTP_X", .environment = environment});
}

json::value loaded(std::string_view schema, std::string_view text,
                   const Environment& environment = {}) {
  auto config = load(schema, text, environment);
  REQUIRE_MESSAGE(config.has_value(), config.error().message);
  return *std::move(config);
}

void check_refused(const Result<json::value>& config, const std::vector<std::string>& words) {
  REQUIRE_FALSE(config);
  CHECK(config.error().code == ErrorCode::kConfig);
  for (const std::string& word : words)
    CHECK_MESSAGE(config.error().message.find(word) != std::string::npos, config.error().message);
}

}  // namespace

TEST_CASE("YAML scalars mean what JSON can say") {
  const auto parsed = parse_yaml(
      "s: text\nq: 'yes'\nd: \"0123\"\ni: -12\np: +7\nu: 18446744073709551615\nh: 0x1F\nf: 1.5\n"
      "e: 1e3\nt: true\nnil: null\nempty:\ntilde: ~\nlist: [1, two]\n200: ok\ntagged: !!str 12\n"
      "date: 2024-01-02\nversion: 1.2.3\naddress: 127.0.0.1:80\n"
      "block: |\n  one\n  two\nnested:\n  - a: 1\n    b: 2\n");
  REQUIRE_MESSAGE(parsed.has_value(), parsed.error().message);
  CHECK(*parsed == *parse_json(R"({"s":"text","q":"yes","d":"0123","i":-12,"p":7,
    "u":18446744073709551615,"h":31,"f":1.5,"e":1000.0,"t":true,"nil":null,"empty":null,"tilde":null,
    "list":[1,"two"],"200":"ok","tagged":"12","date":"2024-01-02","version":"1.2.3",
    "address":"127.0.0.1:80","block":"one\ntwo\n","nested":[{"a":1,"b":2}]})"));
  CHECK(parse_yaml("")->is_null());
  CHECK(parse_yaml("# a comment\n")->is_null());
  CHECK(parse_yaml("{\"json\": [1, 2]}").value() == *parse_json("{\"json\": [1, 2]}"));
}

TEST_CASE("YAML that readers could take for two things is refused, with its place") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"yes", "boolean"},
      {"No", "boolean"},
      {"ON", "boolean"},
      {"off", "boolean"},
      {"y", "boolean"},
      {"0123", "octal"},
      {"-0123", "octal"},
      {"0o17", "number"},
      {"0b1", "number"},
      {"-0x1f", "number"},
      {"1_000", "number"},
      {"1_0.5", "number"},
      {".inf", "JSON"},
      {"-.Inf", "JSON"},
      {".nan", "JSON"},
      {"1e999", "range"},
      {"18446744073709551616", "64 bits"},
      {"&x 1", "anchors"},
      {"!!binary aGk=", "tag"},
      {"!local x", "tag"},
      {"!!int text", "tag"},
      {"!!set {a}", "tag"},
      {"{<<: {b: 1}}", "merge keys"},
      {"{? [1] : 2}", "string"},
      {"{1.5: x}", "string"},
      {"{true: x}", "string"},
      {"{~: x}", "string"},
      {"{'1': x, 1: y}", "duplicate key"}};
  for (const auto& [text, words] : cases) {
    CAPTURE(text);
    const auto parsed = parse_yaml("a: 1\nb: " + text + "\n");
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::kMessage);
    CHECK_MESSAGE(parsed.error().message.find(words) != std::string::npos, parsed.error().message);
    CHECK(position_of(parsed.error()).line == 2);
  }
}

TEST_CASE("hostile YAML stays cheap") {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "- ";
  for (const std::string& text :
       {deep, std::string(200'000, '['), std::string(200'000, '{'), "\0"s, "a\0b"s, "a: \x1b[0m"s,
        "\xff\xfe"
        "a"s,
        "\xfe\xff"s, "a: [1, 2\n"s, "a: 1\n b: 2\n"s, "\ta: 1"s, "a: *b"s, "---\n---\n"s,
        "a: 1\n...\n---\nb: 2\n"s, "a: \"unterminated"s, "? "s + std::string(5000, 'a') + ": : :"s,
        "%TAG ! tag:x,2000:\n--- !a b"s}) {
    CAPTURE(printable(text, 40));
    CHECK_FALSE(parse_yaml(text));
  }
  CHECK(parse_yaml(std::string(limits::kYamlBytesMax + 1, ' ')).error().code == ErrorCode::kLimit);
}

TEST_CASE("the embedded schemas are schemas") {
  for (const auto schema : {schemas::kManifest, schemas::kServerConfig, schemas::kAgentConfig}) {
    const auto checked = validate_json_schema(schema, "{}");
    REQUIRE_FALSE(checked);
    CHECK_MESSAGE(checked.error().code == ErrorCode::kInvalidModel, checked.error().message);
    // They are whole: references lead to the same text.
    for (size_t at = schema.find("$ref"); at != schema.npos; at = schema.find("$ref", at + 1))
      CHECK(schema.substr(at).starts_with("$ref\": \"#/definitions/"));
  }
}

TEST_CASE("a component reads its section, and what is absent from it") {
  const json::value server = loaded(schemas::kServerConfig, kServer + "threads: 3\n");
  const config::Section root(server);
  CHECK(root.text("tls.key") == "k.pem");
  CHECK(root.section("tls").text("key") == "k.pem");
  CHECK(root.size("threads") == 3);
  CHECK_FALSE(root.flag("tls.allow_p384"));
  CHECK(root.has("log.level"));
  CHECK_FALSE(root.has("health_listen"));
  CHECK(root.text_or_empty("health_listen").empty());
  CHECK(root.sections("rights").empty());
  CHECK(root.texts("enroll.no.such").empty());
  const auto log = load_log(root.section("log"));
  REQUIRE(log);
  CHECK(log->level == log::Level::kInfo);
  CHECK(log->format == log::Format::kJson);

  const json::value agent = loaded(schemas::kAgentConfig, kAgent);
  CHECK(config::Section(agent).texts("ledgers") ==
        std::vector<std::string>{"100000000000/payments"});
}

TEST_CASE("a minimal configuration gets the defaults of its schema") {
  const json::value server = loaded(schemas::kServerConfig, kServer);
  CHECK(config_text(server, "listen") == "127.0.0.1:7443");
  CHECK(config_text(server, "tls.key") == "k.pem");
  // Depends on the machine.
  CHECK_FALSE(config::Section(server).has("threads"));
  CHECK(config_integer(server, "workers") == 2);
  CHECK(config_text(server, "log.level") == "info");
  CHECK(config_integer(server, "limits.sessions") == limits::kSessionsMax);
  CHECK(config_integer(server, "limits.sessions_per_identity") == limits::kSessionsPerIdentityMax);
  CHECK(config_integer(server, "artifact_cache_bytes") == limits::kArtifactCacheBytes);
  CHECK(config_integer(server, "artifact_recompress_level") == limits::kRecompressLevel);
  CHECK(config_integer(server, "snapshot_memory_bytes") == limits::kSnapshotMemoryBytes);
  CHECK(config_find(server, "rights")->as_array().empty());
  CHECK(config_find(server, "health_listen") == nullptr);
  CHECK(config_find(server, "listen.no.such") == nullptr);

  const json::value agent = loaded(schemas::kAgentConfig, kAgent);
  CHECK(config_text(agent, "listen") == "127.0.0.1:8282");
  CHECK(config_text(agent, "registry_identity") == "registry/*");
  CHECK(config_text(agent, "pdp.kind") == "embedded");
  CHECK(config_text(agent, "pdp.opa.url") == "http://127.0.0.1:8181");
  CHECK(config_integer(agent, "backoff.first_ms") == limits::kBackoffFirstMs);
  CHECK(config_integer(agent, "backoff.max_ms") == limits::kBackoffMaxMs);
  CHECK(config_integer(agent, "releases_kept") == limits::kReleasesKept);
}

TEST_CASE("JSON files, and JSON in YAML files, configure too") {
  const auto yaml = parse_yaml(kServer).value();
  const auto by_json = load(schemas::kServerConfig, json::serialize(yaml), {}, "config.json");
  REQUIRE_MESSAGE(by_json.has_value(), by_json.error().message);
  CHECK(*by_json == loaded(schemas::kServerConfig, kServer));
  CHECK(loaded(schemas::kServerConfig, json::serialize(yaml)) == *by_json);
}

TEST_CASE("mistakes in a file name the file, the field and what is allowed") {
  check_refused(load(schemas::kServerConfig, kServer + "listen: nonsense\n"),
                {"config.yaml: listen: ", "address:port for sessions"});
  check_refused(load(schemas::kServerConfig, kServer + "listen: 127.0.0.1:70000\n"), {"listen"});
  check_refused(load(schemas::kServerConfig, kServer + "log: {level: loud}\n"),
                {"log.level", "debug"});
  check_refused(load(schemas::kServerConfig, kServer + "thread: 2\n"), {"thread"});
  check_refused(load(schemas::kServerConfig, kServer + "threads: two\n"), {"threads", "integer"});
  check_refused(load(schemas::kServerConfig, kServer + "threads: 0\n"), {"threads"});
  check_refused(load(schemas::kServerConfig, kServer + "threads: 0\nworkers: 0\n"),
                {"threads", "\n", "workers"});
  check_refused(load(schemas::kServerConfig, "data_dir: x\n"), {"trust_domain", "tls", "root"});
  check_refused(load(schemas::kServerConfig, "a: [\n"), {"config.yaml: line"});
  check_refused(load(schemas::kServerConfig, "[1]\n"), {"mapping"});
  check_refused(load(schemas::kServerConfig, ""), {"trust_domain"});
  check_refused(load(schemas::kServerConfig, kServer + "health_listen: everywhere:80\n"),
                {"health_listen", "IP address:port"});
  check_refused(load(schemas::kServerConfig,
                     kServer + "rights: [{identity: alice, ledgers: ['*/*'], actions: [read]}]\n"),
                {"rights.0.identity", "role/name"});
  check_refused(load(schemas::kServerConfig,
                     kServer + "rights: [{identity: node/a, ledgers: ['*/*'], actions: [own]}]\n"),
                {"rights.0.actions.0", "publish"});
  check_refused(load(schemas::kAgentConfig, kAgent + "pdp: {kind: folder}\n"), {"path"});
  check_refused(
      load(schemas::kAgentConfig, kAgent + "pdp: {opa: {url: 'http://example.com:80'}}\n"),
      {"pdp.opa.url"});
  check_refused(load(schemas::kAgentConfig, kServer + "registry: a:1\nledgers: [payments]\n"),
                {"ledgers.0", "zone/name"});
  const auto missing = load_config({.file = "/nowhere/x.yaml",
                                    .schema = schemas::kServerConfig,
                                    .env_prefix = "N",
                                    .environment = {}});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kNotFound);
}

TEST_CASE("configurations that are right") {
  loaded(schemas::kServerConfig,
         kServer +
             "listen: '[::1]:0'\nhealth_listen: localhost:0\nrights:\n"
             "- {identity: publisher/alice, ledgers: ['100000000000/payments'], actions: [read, "
             "publish]}\n"
             "- {identity: node/*, ledgers: ['1000*/*', '*/pay*'], actions: [read]}\n"
             "- {identity: admin/ops-*, ledgers: ['*/*'], actions: [fleet]}\n");
  const json::value agent =
      loaded(schemas::kAgentConfig,
             kAgent + "pdp: {kind: folder, folder: {path: /m, hook: [/bin/x, a b]}}\n");
  CHECK(config_find(agent, "pdp.folder.hook")->as_array().size() == 2);
}

TEST_CASE("the environment goes over the file, by the types of the schema") {
  const json::value config =
      loaded(schemas::kServerConfig, kServer + "threads: 3\nlog: {level: warn}\n",
             {{"NOTP_X_LISTEN", "127.0.0.1:0"},
              {"NOTP_X_THREADS", "7"},
              {"NOTP_X_TLS_KEY", "other.pem"},
              {"NOTP_X_LIMITS_SESSIONS_PER_IDENTITY", "2"},
              {"NOTP_X_DATA_DIR", "12"},
              {"NOTP_X_PORT_FILE", ""},
              {"NOTP_X_RIGHTS", R"([{"identity":"node/a","ledgers":["*/*"],"actions":["read"]}])"},
              {"NOTP_XY", "not ours"},
              {"PATH", "/bin"}});
  CHECK(config_text(config, "listen") == "127.0.0.1:0");
  CHECK(config_integer(config, "threads") == 7);
  CHECK(config_text(config, "tls.key") == "other.pem");
  CHECK(config_text(config, "tls.ca") == "ca.pem");
  CHECK(config_integer(config, "limits.sessions_per_identity") == 2);
  CHECK(config_integer(config, "limits.sessions") == limits::kSessionsMax);
  CHECK(config_text(config, "data_dir") == "12");
  CHECK(config_text(config, "log.level") == "warn");
  CHECK(config_find(config, "port_file") == nullptr);
  CHECK(config_find(config, "rights")->as_array().size() == 1);
  const json::value agent = loaded(schemas::kAgentConfig, kAgent,
                                   {{"NOTP_X_LEDGERS", "100000000000/a, 100000000000/b"},
                                    {"NOTP_X_PDP_FOLDER_HOOK", R"(["a, b"])"}});
  CHECK(config_find(agent, "ledgers")->as_array().size() == 2);
  CHECK(config_find(agent, "ledgers")->as_array()[1] == "100000000000/b");
  CHECK(config_find(agent, "pdp.folder.hook")->as_array().size() == 1);
}

TEST_CASE("the environment alone configures") {
  const auto config = load_config({.file = std::nullopt,
                                   .schema = schemas::kServerConfig,
                                   .env_prefix = "NOTP_SERVER",
                                   .environment = {{"NOTP_SERVER_TRUST_DOMAIN", "a"},
                                                   {"NOTP_SERVER_DATA_DIR", "d"},
                                                   {"NOTP_SERVER_ROOT", "r"},
                                                   {"NOTP_SERVER_TLS_CERTIFICATE", "c"},
                                                   {"NOTP_SERVER_TLS_KEY", "k"},
                                                   {"NOTP_SERVER_TLS_CA", "a"}}});
  REQUIRE_MESSAGE(config.has_value(), config.error().message);
  CHECK(config_text(*config, "tls.certificate") == "c");
}

TEST_CASE("mistakes in the environment name the variable") {
  const auto with = [](const std::string& name, const std::string& value) {
    return load(schemas::kServerConfig, kServer, {{name, value}});
  };
  check_refused(with("NOTP_X_LISTN", "x"), {"NOTP_X_LISTN", "NOTP_X_LISTEN"});
  check_refused(with("NOTP_X_TLS_KEYS", "x"), {"nearest", "NOTP_X_TLS_KEY"});
  check_refused(with("NOTP_X_THREADS", "many"), {"NOTP_X_THREADS", "integer"});
  check_refused(with("NOTP_X_THREADS", "7x"), {"NOTP_X_THREADS"});
  check_refused(with("NOTP_X_THREADS", "0"), {"NOTP_X_THREADS: threads: "});
  check_refused(with("NOTP_X_LISTEN", "\xff"), {"NOTP_X_LISTEN", "UTF-8"});
  check_refused(with("NOTP_X_RIGHTS", "node/a"), {"NOTP_X_RIGHTS", "JSON array"});
  check_refused(load(schemas::kServerConfig, "tls: 7\n", {{"NOTP_X_TLS_KEY", "k"}}),
                {"tls", "object"});
}

TEST_CASE("the environment of the process is seen") {
  REQUIRE(::setenv("NOTP_TEST_VARIABLE", "a=b", 1) == 0);
  CHECK(process_environment().at("NOTP_TEST_VARIABLE") == "a=b");
}
