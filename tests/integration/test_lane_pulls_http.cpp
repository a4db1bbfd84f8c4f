// Introspection at a real OpenID provider, and status lists from a TLS server.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "notp-server/lane_inputs/introspector.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "tests/support/brokers/recorded_intake.hpp"
#include "tests/support/jose/status_lists.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/registry/tls_provider.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::lane_inputs {
namespace {

using Resolved = Result<std::optional<lane::TokenAdded>>;
using State = lane::SourceState::State;

Resolved resolve(Introspector& introspector, const std::string& token) {
  boost::asio::io_context context(1);
  Resolved out = fail(ErrorCode::kInternal, "it did not end");
  boost::asio::co_spawn(
      context, introspector.resolve(token),
      [&](const std::exception_ptr&, Resolved result) { out = std::move(result); });
  context.run();
  return out;
}

// --- introspection

// oidc-provider with clients of every method.
struct Provider {
  explicit Provider(const std::string& format)
      : key(jose::SigningKey::generate(jose::Algorithm::kEs256).value()),
        login(
            DrivenProvider::Kind::kOidcProvider,
            {.folder = folder.path(), .more = {{"token_format", format}, {"clients", clients()}}}) {
    must(write_file(file("secret"), "app-secret", 0600));
    must(write_file(file("wrong"), "another-secret", 0600));
    must(write_file(file("key"), key.pem().value(), 0600));
  }

  json::array clients() const {
    const json::object jwks{{"keys", json::array{key.public_jwk("k").canonical()}}};
    return {{{"client_id", "app"}, {"client_secret", "app-secret"}},
            {{"client_id", "registry"},
             {"token_endpoint_auth_method", "private_key_jwt"},
             {"token_endpoint_auth_signing_alg", "ES256"},
             {"jwks", jwks}},
            {{"client_id", "signed"},
             {"client_secret", "app-secret"},
             {"introspection_signed_response_alg", "RS256"}}};
  }
  std::filesystem::path file(const char* name) const { return folder.path() / name; }
  IntrospectionConfig config(oauth::Method method, std::string client) const {
    IntrospectionConfig out;
    out.endpoint = login.issuer() + "/token/introspection";
    out.issuer = login.issuer();
    out.insecure_loopback = true;
    out.auth.method = method;
    out.auth.client_id = std::move(client);
    out.auth.secret_file = file("secret");
    out.auth.key_file = file("key");
    out.auth.kid = "k";
    return out;
  }
  std::unique_ptr<Introspector> open(const IntrospectionConfig& config) const {
    return must(Introspector::open(config, {}, [this](std::string_view) {
      return std::make_shared<const jose::KeySet>(must(jose::KeySet::parse(login.key_set())));
    }));
  }

  TemporaryFolder folder;
  jose::SigningKey key;
  DrivenProvider login;
};

TEST_CASE("oidc-provider introspects its opaque tokens for a client by secret, and by assertion") {
  const Provider provider("opaque");
  const auto by_secret = provider.open(provider.config(oauth::Method::kClientSecretBasic, "app"));
  const auto by_key = provider.open(provider.config(oauth::Method::kPrivateKeyJwt, "registry"));
  const std::string token = provider.login.token();
  for (Introspector* introspector : {by_secret.get(), by_key.get()}) {
    const auto alive = resolve(*introspector, token);
    REQUIRE_MESSAGE(alive, alive.error().message);
    REQUIRE(*alive);
    CHECK((*alive)->id == feed::token_id(token));
    CHECK((*alive)->attributes.at("client_id") == "app");
    CHECK_FALSE(json::serialize((*alive)->attributes).contains(token));
    CHECK_FALSE(resolve(*introspector, token + "x").value());
  }
  auto wrong = provider.config(oauth::Method::kClientSecretBasic, "app");
  wrong.auth.secret_file = provider.file("wrong");
  const auto refused = resolve(*provider.open(wrong), token);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK_FALSE(refused.error().message.contains(token));
}

TEST_CASE("oidc-provider's signed answers are verified by its keys") {
  const Provider provider("opaque");
  auto config = provider.config(oauth::Method::kClientSecretBasic, "signed");
  config.is_signed = true;
  const std::string token = provider.login.token();
  const auto introspector = provider.open(config);
  const auto alive = resolve(*introspector, token);
  REQUIRE_MESSAGE(alive, alive.error().message);
  REQUIRE(*alive);
  CHECK((*alive)->attributes.at("client_id") == "app");
  const auto unknown = resolve(*introspector, "a-token-that-nobody-issued");
  REQUIRE_MESSAGE(unknown, unknown.error().message);
  CHECK_FALSE(*unknown);
  // The keys of another provider.
  const Provider stranger("opaque");
  const auto deceived =
      resolve(*must(Introspector::open(config, {},
                                       [&](std::string_view) {
                                         return std::make_shared<const jose::KeySet>(
                                             must(jose::KeySet::parse(stranger.login.key_set())));
                                       })),
              token);
  REQUIRE_FALSE(deceived);
  CHECK(rule_of(deceived.error()) == "introspection.key");
}

TEST_CASE("oidc-provider refuses JWTs there, which is no answer about them") {
  const Provider provider("jwt");
  const auto introspector =
      provider.open(provider.config(oauth::Method::kClientSecretBasic, "app"));
  const auto answer = resolve(*introspector, provider.login.token());
  REQUIRE_FALSE(answer);
  CHECK(rule_of(answer.error()) == "introspection.unsupported-token");
}

// --- status lists

const jose::SigningKey& list_key() {
  static const auto key = jose::SigningKey::generate(jose::Algorithm::kEs256).value();
  return key;
}

struct Lists {
  Lists() : provider(pki) {}

  std::string uri(const char* path = "/lists/1") const { return provider.issuer() + path; }
  void serve(ByteView statuses, json::object more = {}) {
    json::object claims{
        {"sub", uri()},
        {"iat", read_clock().wall_ms / 1'000},
        {"ttl", 60},
        {"status_list", json::object{{"bits", 1}, {"lst", to_base64url(jose::zlib_of(statuses))}}}};
    for (const auto& [name, value] : more) claims[name] = value;
    serve_text(
        jose::sign_any_size({{"kid", "lists"}, {"typ", "statuslist+jwt"}}, claims, list_key()));
  }
  void serve_text(std::string text, std::string type = "application/statuslist+jwt") {
    // Headers say something else than the claims: nobody asks them.
    provider.answers("/lists/1", {.content_type = std::move(type),
                                  .headers = {{"Cache-Control", "no-store, max-age=1"}},
                                  .body = std::move(text)});
  }
  void start() {
    entry_ = {{"kind", "status_list"},
              {"name", "lists"},
              {"issuer", provider.issuer()},
              {"uris", json::array{json::string(uri())}},
              {"ca", pki.authorities().string()}};
    const config::Section section(entry_);
    for (const SourceKind& kind : pull_kinds()) {
      if (kind.name != "status_list") continue;
      const SourceConfig config{
          .name = "lists", .kind = "status_list", .terms = must(kind.load(section, ""))};
      source = must(kind.make(config, {.intake = intake,
                                       .lane = "main",
                                       .issuer_keys = [this](std::string_view) { return keys(); },
                                       .unknown_key =
                                           [this](std::string_view, std::string_view kid) {
                                             if (kid == "lists") is_key_known = true;
                                           }}));
    }
    source->start();
  }
  std::shared_ptr<const jose::KeySet> keys() const {
    json::array all{
        jose::SigningKey::generate(jose::Algorithm::kEs256)->public_jwk("other").canonical()};
    if (is_key_known) all.push_back(list_key().public_jwk("lists").canonical());
    return std::make_shared<const jose::KeySet>(
        jose::KeySet::parse(json::object{{"keys", std::move(all)}}).value());
  }
  // The rule by which the first fetch is refused.
  std::string message() const {
    const bool said = wait_until([&] {
      return !source->state().message.empty() &&
             source->state().message != "no list was fetched yet";
    });
    return said ? source->state().message : "nothing";
  }

  TestPki pki;
  sources::TlsProvider provider;
  RecordedIntake intake;
  std::atomic<bool> is_key_known = true;
  std::unique_ptr<lane::LaneSource> source;

 private:
  json::value entry_;
};

TEST_CASE("a status list is fetched over TLS, verified and handed over with its end") {
  Lists lists;
  lists.serve("\x01\x02", {{"exp", read_clock().wall_ms / 1'000 + 100}});
  lists.is_key_known = false;  // its key is told of, and then there
  lists.start();
  REQUIRE(wait_until([&] { return !lists.intake.lists().empty(); }));
  const lane::ListFetched list = lists.intake.lists().at(0);
  CHECK(list.uri == lists.uri());
  CHECK(list.bits == 1);
  CHECK(list.zlib == jose::zlib_of("\x01\x02"));
  CHECK(list.until_s <= read_clock().wall_ms / 1'000 + 100);
  REQUIRE(wait_until([&] { return lists.source->state().state == State::kOk; }));
  CHECK(lists.source->state().events == 1);
  CHECK(lists.source->state().tells.contains("one of 1 configured lists"));
}

TEST_CASE("hostile answers are refused, counted, and named in the state") {
  const auto refused = [](const std::function<void(Lists&)>& serve) {
    Lists lists;
    serve(lists);
    lists.start();
    const std::string message = lists.message();
    CHECK(lists.intake.lists().empty());
    CHECK(lists.source->state().state == State::kFailing);
    CHECK(lists.source->state().refused >= 1);
    return message;
  };
  CHECK(refused([](Lists& at) {
          at.serve(std::string((64 << 20) + 1, '\0'));
        }).contains("inflates to more than"));
  CHECK(refused([](Lists& at) {
          at.serve("x", {{"sub", "https://another.example"}});
        }).contains("sub of the list"));
  CHECK(refused([](Lists& at) { at.serve("x", {{"exp", 1}}); }).contains("expired"));
  CHECK(refused([](Lists& at) { at.serve_text(std::string(2 << 20, 'a')); }).contains("limit"));
  CHECK(refused([](Lists& at) { at.serve_text("a.b.c", "text/html"); }).contains("text/html"));
  CHECK(refused([](Lists& at) { at.serve_text("a.b.c"); }).contains("header"));
}

TEST_CASE("an issuer that does not answer is one whose lists are not there") {
  Lists lists;
  lists.start();
  CHECK(lists.message().contains("answers 404"));
  lists.serve("\x01");
  REQUIRE(wait_until([&] { return lists.source->state().state == State::kOk; }));
}

}  // namespace
}  // namespace notp::lane_inputs
