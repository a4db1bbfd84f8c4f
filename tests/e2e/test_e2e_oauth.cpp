// Access tokens from a real authorization server, for a key set that it gives to nobody without
// one: oidc-provider checks authentication, proofs and nonces.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "common/jose/key_set.hpp"
#include "common/oauth/token_client.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

using oauth::Method;

// Each character of it is changed by one of the encodings on its way.
constexpr std::string_view kSecret = "p w:/?#[]@!$&'()*+,;=%~\"<>\\^`{|}_-.";

// A client with its key in a file, and its metadata at the provider.
struct Party {
  oauth::ClientAuthConfig config;
  json::object metadata;
};

class OauthSite {
 public:
  explicit OauthSite(bool tls) : tls_(tls) { must(write_file(file("secret"), kSecret, 0600)); }

  std::filesystem::path file(std::string_view name) const { return folder_.path() / name; }
  std::filesystem::path key(std::string_view name, jose::Algorithm algorithm) const {
    must(write_file(file(name), must(must(jose::SigningKey::generate(algorithm)).pem()), 0600));
    return file(name);
  }

  Party basic(const std::string& id) {
    return party(
        id, Method::kClientSecretBasic,
        {{"client_secret", kSecret}, {"token_endpoint_auth_method", "client_secret_basic"}});
  }
  Party signing(const std::string& id, jose::Algorithm algorithm) {
    Party out = party(id, Method::kPrivateKeyJwt, {});
    out.config.key_file = key(id, algorithm);
    out.config.algorithm = algorithm;
    out.config.kid = id;
    const auto own = must(jose::SigningKey::load(out.config.key_file, algorithm));
    out.metadata["token_endpoint_auth_method"] = "private_key_jwt";
    out.metadata["token_endpoint_auth_signing_alg"] = jose::algorithm_name(algorithm);
    out.metadata["jwks"] = {{"keys", json::array{own.public_jwk(id).canonical()}}};
    return out;
  }
  Party certified(const std::string& id) {
    Party out = party(id, Method::kTlsClientAuth,
                      {{"token_endpoint_auth_method", "tls_client_auth"},
                       {"tls_client_auth_san_uri", test_uri("node", id)},
                       {"tls_client_certificate_bound_access_tokens", true}});
    const auto files = pki_.node(id);
    out.config.certificate = files.certificate;
    out.config.private_key = files.private_key;
    return out;
  }
  static Party bound(Party party, std::filesystem::path key) {
    party.config.dpop_key_file = std::move(key);
    party.metadata["dpop_bound_access_tokens"] = true;
    return party;
  }

  DrivenProvider& start(const std::vector<Party>& parties) {
    json::array clients;
    for (const Party& one : parties) clients.push_back(one.metadata);
    // What the test's own requests use.
    clients.push_back({{"client_id", "app"}, {"client_secret", "app-secret"}});
    ProviderSetup setup{
        .folder = folder_.path(),
        .tls = {},
        .more = {{"clients", clients}, {"require_nonce", true}, {"protected", true}}};
    if (tls_) {
      auto leaf = pki_.leaf("registry", "login");
      leaf.addresses = {"127.0.0.1"};
      const auto files = pki_.issue(leaf);
      setup.tls = {.certificate = files.certificate,
                   .key = files.private_key,
                   .client_ca = pki_.authorities(),
                   .ca = pki_.authorities()};
    }
    provider_.emplace(DrivenProvider::Kind::kOidcProvider, std::move(setup));
    return *provider_;
  }

  oauth::TokenClient client(const Party& party) const {
    http::ClientOptions options;
    if (tls_) options.tls.authorities = pki_.authorities();
    oauth::ClientAuthConfig config = party.config;
    config.token_endpoint = provider_->issuer() + "/token";
    return must(oauth::TokenClient::open(
        std::move(config), {.issuer = provider_->issuer(), .insecure_loopback = !tls_},
        std::move(options)));
  }
  Result<http::Response> keys(oauth::TokenClient& client) const {
    boost::asio::io_context context(1);
    Result<http::Response> outcome = fail(ErrorCode::kInternal, "the call did not end");
    boost::asio::co_spawn(
        context, client.call({.url = provider_->issuer() + "/jwks", .headers = {}, .body = {}}),
        [&](const std::exception_ptr& exception, Result<http::Response> result) {
          if (!exception) outcome = std::move(result);
        });
    context.run();
    return outcome;
  }
  int64_t token_requests() const { return provider_->requests("/token"); }

 private:
  static Party party(const std::string& id, Method method, json::object metadata) {
    Party out;
    out.config.method = method;
    out.config.client_id = id;
    out.config.scope = "keys";
    out.metadata = std::move(metadata);
    out.metadata["client_id"] = id;
    return out;
  }

  const bool tls_;
  TemporaryFolder folder_;
  TestPki pki_;
  std::optional<DrivenProvider> provider_;
};

void check_keys(const Result<http::Response>& response) {
  REQUIRE_MESSAGE(response, response.error().message);
  REQUIRE_MESSAGE(response->status == 200,
                  http::find_header(response->headers, "WWW-Authenticate"));
  CHECK(jose::KeySet::parse_text(response->body).has_value());
}

TEST_CASE("every way to authenticate gets a token, which is kept for the next requests") {
  OauthSite site(false);
  std::vector<Party> parties = {site.basic("basic")};
  for (const jose::Algorithm algorithm :
       {jose::Algorithm::kEs256, jose::Algorithm::kEs384, jose::Algorithm::kPs256,
        jose::Algorithm::kRs256, jose::Algorithm::kEdDsa})
    parties.push_back(
        site.signing(fmt::format("jwt-{}", jose::algorithm_name(algorithm)), algorithm));
  site.start(parties);
  for (Party& party : parties) {
    CAPTURE(party.config.client_id);
    if (party.config.method == Method::kClientSecretBasic)
      party.config.secret_file = site.file("secret");
    oauth::TokenClient client = site.client(party);
    const int64_t before = site.token_requests();
    check_keys(site.keys(client));
    check_keys(site.keys(client));
    CHECK(site.token_requests() == before + 1);
  }
}

TEST_CASE("tokens bound to a key get through with proofs and both nonces; a new key gets its own") {
  OauthSite site(false);
  std::vector<Party> parties;
  for (const jose::Algorithm algorithm :
       {jose::Algorithm::kEs256, jose::Algorithm::kEdDsa, jose::Algorithm::kRs256}) {
    const std::string name(jose::algorithm_name(algorithm));
    Party party =
        OauthSite::bound(site.basic("bound-" + name), site.key("dpop-" + name, algorithm));
    party.config.secret_file = site.file("secret");
    parties.push_back(std::move(party));
  }
  DrivenProvider& provider = site.start(parties);
  for (const Party& party : parties) {
    CAPTURE(party.config.client_id);
    oauth::TokenClient client = site.client(party);
    const int64_t tokens = site.token_requests(), keys = provider.key_set_requests();
    check_keys(site.keys(client));
    // Once without a nonce and once with it, there and there.
    CHECK(site.token_requests() == tokens + 2);
    CHECK(provider.key_set_requests() == keys + 2);
    check_keys(site.keys(client));
    CHECK(site.token_requests() == tokens + 2);
    CHECK(provider.key_set_requests() == keys + 3);
  }
  oauth::TokenClient client = site.client(parties[0]);
  check_keys(site.keys(client));
  const int64_t tokens = site.token_requests();
  site.key("dpop-ES256", jose::Algorithm::kEs256);
  check_keys(site.keys(client));
  CHECK(site.token_requests() == tokens + 1);
}

TEST_CASE("a certificate authenticates, and the token is for its holder") {
  OauthSite site(true);
  const Party good = site.certified("edge-1");
  Party stranger = site.certified("edge-2");
  stranger.metadata["tls_client_auth_san_uri"] = test_uri("node", "edge-3");
  site.start({good, stranger});
  oauth::TokenClient client = site.client(good);
  const int64_t before = site.token_requests();
  check_keys(site.keys(client));
  check_keys(site.keys(client));
  CHECK(site.token_requests() == before + 1);
  oauth::TokenClient other = site.client(stranger);
  const auto refused = site.keys(other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  CHECK_MESSAGE(refused.error().message.find("invalid_client") != std::string::npos,
                refused.error().message);
}

TEST_CASE("a kept token that the resource does not take any more is replaced") {
  OauthSite site(false);
  Party party = OauthSite::bound(site.basic("basic"), site.key("dpop", jose::Algorithm::kEs256));
  party.config.secret_file = site.file("secret");
  DrivenProvider& provider = site.start({party});
  oauth::TokenClient client = site.client(party);
  check_keys(site.keys(client));
  const int64_t before = site.token_requests();
  // The key that signed the kept token is gone.
  provider.rotate();
  provider.retire();
  check_keys(site.keys(client));
  CHECK(site.token_requests() > before);
}

TEST_CASE("a wrong secret or key is refused by name, and the error holds none of it") {
  OauthSite site(false);
  Party basic = site.basic("basic");
  basic.config.secret_file = site.file("wrong");
  Party jwt = site.signing("jwt", jose::Algorithm::kEs256);
  site.start({basic, jwt});
  must(write_file(site.file("wrong"), "an-other-secret", 0600));
  site.key("jwt", jose::Algorithm::kEs256);
  for (const Party& party : {basic, jwt}) {
    oauth::TokenClient client = site.client(party);
    const auto refused = site.keys(client);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kDenied);
    CHECK(refused.error().message ==
          "access token: the token endpoint refuses with status 401, invalid_client");
  }
  // Without the right, the answer is the resource's.
  must(write_file(site.file("wrong"), kSecret, 0600));
  basic.config.scope = "orders";
  oauth::TokenClient client = site.client(basic);
  const auto answer = site.keys(client);
  REQUIRE_MESSAGE(answer, answer.error().message);
  CHECK(answer->status == 401);
}

}  // namespace
}  // namespace notp
