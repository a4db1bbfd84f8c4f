// Streams of token messages at real brokers, whose tokens a real OpenID provider introspects.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "tests/support/brokers/brokers.hpp"
#include "tests/support/brokers/recorded_intake.hpp"
#include "tests/support/brokers/websocket_server.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::lane_inputs {
namespace {

using State = lane::SourceState::State;

std::string message_of(const std::string& token, std::string_view operation) {
  return fmt::format(R"({{"tknTyp":"access_token","tknId":"{}","tknOp":"{}"}})", token, operation);
}

// A provider of opaque tokens, and one source with its lane.
struct Site {
  explicit Site(const std::string& format = "opaque")
      : provider(DrivenProvider::Kind::kOidcProvider,
                 {.folder = folder.path(), .more = {{"token_format", format}}}) {
    must(write_file(folder.path() / "secret", "app-secret", 0600));
  }
  ~Site() { source.reset(); }

  json::object introspection() const {
    return {{"endpoint", provider.issuer() + "/token/introspection"},
            {"issuer", provider.issuer()},
            {"insecure_loopback", true},
            {"auth", json::object{{"method", "client_secret_basic"},
                                  {"client_id", "app"},
                                  {"secret_file", (folder.path() / "secret").string()}}}};
  }
  void start(json::object entry) {
    entry["name"] = "jans";
    if (!entry.contains("ids")) entry["introspection"] = introspection();
    config_ = std::make_shared<json::value>(std::move(entry));
    const config::Section section(*config_);
    for (const SourceKind& kind : pull_kinds()) {
      if (kind.name != section.text("kind")) continue;
      const SourceConfig config{.name = "jans",
                                .kind = section.text("kind"),
                                .terms = must(kind.load(section, "core-platform.internal"))};
      source = must(kind.make(config, {.intake = intake,
                                       .lane = "main",
                                       .issuer_keys = [](std::string_view) { return nullptr; },
                                       .unknown_key = {}}));
    }
    source->start();
  }
  void becomes(State state) const {
    REQUIRE_MESSAGE(wait_until([&] { return source->state().state == state; }),
                    source->state().message);
  }
  void has(const std::string& token) const {
    REQUIRE_MESSAGE(wait_until([&] { return intake.find(token).has_value(); }),
                    source->state().message);
  }
  void lost(const std::string& token) const {
    REQUIRE_MESSAGE(wait_until([&] { return intake.is_deleted(token); }), source->state().message);
  }
  void revoke(const std::string& token) const {
    const auto answer =
        must(http::call_blocking({.method = "POST",
                                  .url = provider.issuer() + "/token/revocation",
                                  .headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                                              {"Authorization", "Basic YXBwOmFwcC1zZWNyZXQ="}},
                                  .body = "token=" + token}));
    REQUIRE(answer.status == 200);
  }

  TemporaryFolder folder;
  DrivenProvider provider;
  RecordedIntake intake;
  std::unique_ptr<lane::LaneSource> source;

 private:
  std::shared_ptr<json::value> config_;
};

// The life of a stream at any broker. `publish` sends one message; `cut` ends the connection, and
// `restore` lets it come back.
void check_stream(Site& site, const std::function<void(const std::string&)>& publish,
                  const std::function<void()>& cut, const std::function<void()>& restore) {
  site.becomes(State::kOk);
  const std::string first = site.provider.token(), second = site.provider.token(),
                    third = site.provider.token();
  publish(message_of(first, "add"));
  publish(message_of(second, "add"));
  publish(message_of(third, "add"));
  site.has(first);
  site.has(second);
  site.has(third);
  const json::object attributes = *site.intake.find(first);
  CHECK(attributes.at("client_id") == "app");
  CHECK(attributes.at("iss") == json::value(site.provider.issuer()));
  CHECK(attributes.contains("exp"));
  CHECK_FALSE(attributes.contains("active"));

  // Malformed messages are refused and counted, and the stream goes on.
  for (const char* text : {"nonsense", "[]", R"({"tknOp":"add"})"}) publish(text);
  publish(message_of("a-token-that-nobody-issued", "add"));
  site.lost("a-token-that-nobody-issued");
  publish(message_of(first, "del"));
  site.lost(first);
  CHECK(wait_until([&] { return site.source->state().refused == 3; }));
  CHECK(site.source->state().state == State::kOk);

  // A lane that is busy gets the same events again.
  site.intake.refuse(2);
  publish(message_of("revoked-while-busy", "del"));
  site.lost("revoked-while-busy");

  // What is deleted while there is no connection is found after it.
  cut();
  REQUIRE(wait_until([&] { return site.source->state().state != State::kOk; }));
  CHECK_FALSE(site.source->state().message.empty());
  site.revoke(second);
  restore();
  site.lost(second);
  site.becomes(State::kOk);
  CHECK(site.intake.find(third));
  CHECK_FALSE(site.intake.is_deleted(third));
  const lane::SourceState state = site.source->state();
  CHECK(state.tells.contains("not: "));
  CHECK(state.last_contact_ms > 0);
  site.source->stop();
  site.source->stop();
}

TEST_CASE("Redis: adds, deletes, and what was lost while the server was away") {
  Site site;
  RedisServer redis;
  site.start({{"kind", "redis"},
              {"address", fmt::format("127.0.0.1:{}", redis.port())},
              {"password_file", redis.password_file().string()},
              {"tls", false},
              {"insecure_loopback", true}});
  check_stream(
      site, [&](const std::string& message) { REQUIRE(redis.publish("jans_token", message) == 1); },
      [&] { redis.stop(); }, [&] { redis.start(); });
}

TEST_CASE("Redis over TLS, with a user of its own; other names and passwords are refused") {
  Site site;
  TestPki pki;
  const BrokerTls tls = broker_certificate(pki);
  RedisServer redis(tls);
  redis.cli({"ACL", "SETUSER", "notp", "on", ">secret-of-notp", "resetchannels", "&tokens", "-@all",
             "+subscribe", "+ping"});
  must(write_file(site.folder.path() / "redis", "secret-of-notp\n", 0600));
  must(write_file(site.folder.path() / "wrong", "another\n", 0600));
  json::object entry{{"kind", "redis"},
                     {"address", fmt::format("localhost:{}", redis.port())},
                     {"channel", "tokens"},
                     {"user", "notp"},
                     {"password_file", (site.folder.path() / "redis").string()},
                     {"ca", tls.ca.string()},
                     {"ids", "sha256"}};
  site.start(entry);
  site.becomes(State::kOk);
  REQUIRE(redis.publish("tokens", message_of("{sha256Hex}" + sha256("x").hex(), "del")) == 1);
  site.lost("x");
  CHECK(site.source->state().tells.contains("without attributes"));

  const auto refused = [&](const char* key, const std::string& value, std::string_view part) {
    json::object other = entry;
    other[key] = value;
    site.start(std::move(other));
    CHECK_MESSAGE(wait_until([&] { return site.source->state().message.contains(part); }),
                  site.source->state().message);
  };
  refused("password_file", (site.folder.path() / "wrong").string(),
          "Redis refuses AUTH: WRONGPASS");
  refused("channel", "another", "Redis refuses SUBSCRIBE: NOPERM");
  // The certificate is for localhost and 127.0.0.1.
  refused("address", fmt::format("127.0.0.2:{}", redis.port()), "cannot connect");
  TestPki stranger;
  refused("ca", stranger.authorities().string(), "certificate");
}

TEST_CASE("PostgreSQL: adds, deletes, and what was lost while the server was away") {
  Site site;
  PostgresqlServer postgresql;
  site.start({{"kind", "postgresql"},
              {"address", fmt::format("127.0.0.1:{}", postgresql.port())},
              {"database", "postgres"},
              {"user", "jans"},
              {"password_file", postgresql.password_file().string()},
              {"tls", false},
              {"insecure_loopback", true}});
  check_stream(
      site,
      [&](const std::string& message) {
        postgresql.execute(fmt::format("NOTIFY jans_token, '{}'", to_base64(message)));
      },
      [&] { postgresql.stop(); }, [&] { postgresql.start(); });
}

TEST_CASE("PostgreSQL: what the environment says counts for nothing, or is refused by its name") {
  struct Variable {
    const char* name;
    Variable(const char* name, const char* value) : name(name) { ::setenv(name, value, 1); }
    ~Variable() { ::unsetenv(name); }
  };
  PostgresqlServer postgresql;
  const json::object entry{{"kind", "postgresql"},
                           {"address", fmt::format("127.0.0.1:{}", postgresql.port())},
                           {"database", "postgres"},
                           {"user", "jans"},
                           {"password_file", postgresql.password_file().string()},
                           {"tls", false},
                           {"insecure_loopback", true},
                           {"ids", "sha256"}};
  {
    // All of these the entry says.
    const Variable variables[] = {{"PGHOST", "192.0.2.1"},      {"PGPORT", "1"},
                                  {"PGUSER", "mallory"},        {"PGDATABASE", "other"},
                                  {"PGPASSWORD", "another"},    {"PGSSLMODE", "verify-full"},
                                  {"PGPASSFILE", "/dev/zero"},  {"PGCLIENTENCODING", "LATIN1"},
                                  {"PGSSLROOTCERT", "/absent"}, {"PGGSSENCMODE", "require"}};
    Site site;
    site.start(entry);
    site.becomes(State::kOk);
  }
  for (const char* name : {"PGHOSTADDR", "PGSERVICE", "PGOPTIONS", "PGSSLCERT", "PGSSLKEY",
                           "PGTARGETSESSIONATTRS", "PGREQUIREPEER", "PGCHANNELBINDING"}) {
    const Variable variable(name, "127.0.0.1");
    Site site;
    site.start(entry);
    CHECK_MESSAGE(wait_until([&] { return site.source->state().message.contains(name); }),
                  site.source->state().message);
    site.source.reset();
  }
  // Without a password that of the environment is not taken, either.
  const Variable password("PGPASSWORD", "guessed");
  json::object open = entry;
  open.erase("password_file");
  Site site;
  site.start(open);
  CHECK(wait_until([&] { return site.source->state().message.contains("PGPASSWORD"); }));
  site.source.reset();
}

TEST_CASE("PostgreSQL over TLS verifies the server; a wrong password is named") {
  Site site;
  TestPki pki;
  const BrokerTls tls = broker_certificate(pki);
  PostgresqlServer postgresql(tls);
  json::object entry{{"kind", "postgresql"},
                     {"address", fmt::format("localhost:{}", postgresql.port())},
                     {"database", "postgres"},
                     {"user", "jans"},
                     {"password_file", postgresql.password_file().string()},
                     {"ca", tls.ca.string()},
                     {"ids", "sha256"}};
  site.start(entry);
  site.becomes(State::kOk);
  postgresql.execute(
      fmt::format("NOTIFY jans_token, '{}'", to_base64(message_of(sha256("x").hex(), "del"))));
  site.lost("x");
  must(write_file(site.folder.path() / "wrong", "another\n", 0600));
  json::object other = entry;
  other["password_file"] = (site.folder.path() / "wrong").string();
  site.start(std::move(other));
  CHECK(wait_until(
      [&] { return site.source->state().message.contains("password authentication failed"); }));
  TestPki stranger;
  other = entry;
  other["ca"] = stranger.authorities().string();
  site.start(std::move(other));
  CHECK(wait_until([&] { return site.source->state().message.contains("certificate"); }));
}

TEST_CASE("WebSocket: adds, deletes, and what was lost with a connection") {
  Site site;
  WebsocketServer server("Bearer of-the-test");
  must(write_file(site.folder.path() / "authorization", "Bearer of-the-test\n", 0600));
  site.start({{"kind", "websocket"},
              {"url", fmt::format("ws://127.0.0.1:{}/tokens", server.port())},
              {"authorization_file", (site.folder.path() / "authorization").string()},
              {"insecure_loopback", true}});
  check_stream(
      site,
      [&](const std::string& message) {
        REQUIRE(wait_until([&] { return server.clients() == 1; }));
        server.send(message);
      },
      [&] { server.cut(); }, [&] { server.restore(); });
}

TEST_CASE("WebSocket: an upgrade that is refused, and a message that is too large") {
  Site site;
  WebsocketServer server("Bearer of-the-test");
  const std::string url = fmt::format("ws://127.0.0.1:{}/tokens", server.port());
  site.start({{"kind", "websocket"}, {"url", url}, {"insecure_loopback", true}});
  CHECK(wait_until([&] { return site.source->state().message.contains("answers 401"); }));
  CHECK(server.refused() >= 1);
  must(write_file(site.folder.path() / "authorization", "Bearer of-the-test\n", 0600));
  site.start({{"kind", "websocket"},
              {"url", url},
              {"authorization_file", (site.folder.path() / "authorization").string()},
              {"insecure_loopback", true}});
  site.becomes(State::kOk);
  REQUIRE(wait_until([&] { return server.clients() == 1; }));
  server.send(std::string(64 << 10, 'x'));
  CHECK(
      wait_until([&] { return site.source->state().message.contains("a message of more than"); }));
}

TEST_CASE("a quiet broker is asked whether it is there, and answers") {
  RedisServer redis;
  PostgresqlServer postgresql;
  WebsocketServer websocket;
  Site of_redis, of_postgresql, of_websocket;
  of_redis.start({{"kind", "redis"},
                  {"address", fmt::format("127.0.0.1:{}", redis.port())},
                  {"password_file", redis.password_file().string()},
                  {"tls", false},
                  {"insecure_loopback", true}});
  of_postgresql.start({{"kind", "postgresql"},
                       {"address", fmt::format("127.0.0.1:{}", postgresql.port())},
                       {"database", "postgres"},
                       {"user", "jans"},
                       {"password_file", postgresql.password_file().string()},
                       {"tls", false},
                       {"insecure_loopback", true}});
  of_websocket.start({{"kind", "websocket"},
                      {"url", fmt::format("ws://127.0.0.1:{}/tokens", websocket.port())},
                      {"insecure_loopback", true}});
  for (const Site* site : {&of_redis, &of_postgresql, &of_websocket}) {
    site->becomes(State::kOk);
    const TimeMs connected_ms = site->source->state().last_contact_ms;
    CHECK(wait_until([&] { return site->source->state().last_contact_ms > connected_ms; }));
    CHECK(site->source->state().state == State::kOk);
  }
  CHECK(websocket.clients() == 1);

  // One that hangs is left after a while, and found again.
  redis.signal(SIGSTOP);
  CHECK(wait_until([&] { return of_redis.source->state().state != State::kOk; }));
  redis.signal(SIGCONT);
  of_redis.becomes(State::kOk);
  CHECK(of_postgresql.source->state().state == State::kOk);
}

TEST_CASE("a provider that does not introspect JWTs: they are refused, and never deleted") {
  Site site("jwt");
  RedisServer redis;
  site.start({{"kind", "redis"},
              {"address", fmt::format("127.0.0.1:{}", redis.port())},
              {"password_file", redis.password_file().string()},
              {"tls", false},
              {"insecure_loopback", true}});
  site.becomes(State::kOk);
  const std::string token = site.provider.token();
  redis.publish("jans_token", message_of(token, "add"));
  CHECK(wait_until([&] { return site.source->state().refused == 1; }));
  CHECK_FALSE(site.intake.is_deleted(token));
  CHECK_FALSE(site.intake.find(token));
  CHECK(site.source->state().state == State::kOk);
  // Its delete needs no question.
  redis.publish("jans_token", message_of(token, "del"));
  site.lost(token);
}

TEST_CASE("entries that cannot work are refused by the key that is wrong") {
  const auto message = [](const char* text) {
    const json::value value = parse_json(text).value();
    const config::Section section(value);
    for (const SourceKind& kind : pull_kinds())
      if (kind.name == section.text("kind")) {
        const auto loaded = kind.load(section, "core-platform.internal");
        return loaded ? std::string() : loaded.error().message;
      }
    return std::string("no such kind");
  };
  CHECK(message(R"({"kind":"redis","address":"a:1","ids":"sha256"})").empty());
  CHECK(message(R"({"kind":"redis","ids":"sha256"})").contains("address"));
  CHECK(message(R"({"kind":"redis","address":"a:1"})").contains("introspection"));
  CHECK(
      message(R"({"kind":"redis","address":"a:1","ids":"sha256","url":"ws://a"})").contains("url"));
  CHECK(message(R"({"kind":"redis","address":"a:1","ids":"sha256","tls":false})").contains("TLS"));
  CHECK(message(R"({"kind":"redis","address":"a:1","ids":"sha256","tls":false,)"
                R"("insecure_loopback":true})")
            .contains("TLS"));
  CHECK(message(R"({"kind":"redis","address":"a:1","ids":"sha256","user":"u"})")
            .contains("password_file"));
  CHECK(message(R"({"kind":"postgresql","address":"a:1","database":"d","user":"u",)"
                R"("ids":"sha256"})")
            .contains("ca is missing"));
  CHECK(message(R"({"kind":"postgresql","address":"a:1","database":"d","user":"u","ca":"f",)"
                R"("ids":"sha256","channel":"Tokens"})")
            .contains("lower case"));
  CHECK(message(R"({"kind":"websocket","url":"wss://a/b","ids":"sha256"})").empty());
  CHECK(message(R"({"kind":"websocket","url":"ws://a/b","ids":"sha256"})").contains("TLS"));
  CHECK(message(R"({"kind":"websocket","url":"https://a/b","ids":"sha256"})").contains("wss"));
}

}  // namespace
}  // namespace notp::lane_inputs
