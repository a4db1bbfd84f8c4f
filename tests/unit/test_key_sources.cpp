// What the key sources take from providers, and what they refuse.
#include <doctest/doctest.h>

#include <set>

#include "common/jose/key_set.hpp"
#include "notp-server/sources/discovery.hpp"
#include "notp-server/sources/document.hpp"
#include "notp-server/sources/key_fetch.hpp"
#include "notp-server/sources/key_set.hpp"
#include "notp-server/sources/keys_content.hpp"
#include "protocol/model/manifest.hpp"
#include "tests/support/registry/hostile_provider.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::sources {
namespace {

const std::string kIssuer = "https://login.example/realms/shop";

std::string accepted(std::string_view set, std::vector<jose::Algorithm> algorithms = {}) {
  const auto keys = accept_key_set(set, kIssuer, algorithms);
  REQUIRE_MESSAGE(keys, (keys ? "" : keys.error().message));
  return keys->document;
}

// --- key sets

TEST_CASE("every hostile key set is refused as a whole, by name, and no secret is repeated") {
  const auto sets = hostile_key_sets();
  CHECK(sets.size() >= 60);
  std::set<std::string> whats;
  for (const HostileAnswer& hostile : sets) {
    CAPTURE(hostile.what);
    CHECK(whats.insert(hostile.what).second);
    const auto keys = accept_key_set(hostile.document, kIssuer);
    REQUIRE_FALSE(keys);
    CHECK_MESSAGE(rule_of(keys.error()) == hostile.rule, keys.error().message);
    CHECK_FALSE(keys.error().message.empty());
    CHECK_FALSE(keys.error().message.contains("c2VjcmV0"));
  }
}

TEST_CASE("a set has one canonical form, whatever the order and the other members are") {
  const std::string ed = key(kEd, R"("kid":"b","use":"sig")");
  const std::string ec = key(kEc, R"("kid":"a","alg":"ES256")");
  const std::string first = accepted(set_of(ed + "," + ec));
  CHECK(first == accepted(fmt::format(
                     R"({{"issued":17,"keys":[{},{}]}})",
                     R"({"x5u":"https://evil.example","x5t":"abc","alg":"ES256",)"
                     R"("kid":"a","extra":{"a":[1]},)" +
                         std::string(kEc) + "}",
                     R"({"use":"sig",)" + std::string(kEd) + R"(,"x5c":["MIIB"],"kid":"b"})")));
  const json::object document = parse_json(first)->get_object();
  CHECK(std::string_view(document.at("issuer").get_string()) == kIssuer);
  const json::array& keys = document.at("keys").get_array();
  REQUIRE(keys.size() == 2);
  CHECK(json::serialize(keys[0]) == R"({"kty":"EC","kid":"a","alg":"ES256","crv":"P-256",)"
                                    R"("x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                                    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})");
  CHECK(json::serialize(keys[1]).starts_with(R"({"kty":"OKP","kid":"b","use":"sig",)"));
  // A canonical set is a set: its canonical form is itself.
  CHECK(accepted(first) == first);
  CHECK(jose::KeySet::parse(parse_json(first).value()));
  CHECK(kids_in(first) == std::vector<std::string>{"a", "b"});
}

TEST_CASE("keys for other purposes are left out, and a set of 32 keys is taken") {
  const std::string ed = key(kEd, R"("kid":"b")");
  // As Keycloak publishes its keys, and as key exchange looks.
  const std::string enc = key(rsa(), R"("kid":"e","use":"enc","alg":"RSA-OAEP")");
  const std::string exchange = R"({"kty":"OKP","crv":"X25519","use":"enc","kid":"x",)"
                               R"("x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"})";
  const std::string wrapping = key(rsa(), R"("kid":"w","key_ops":["wrapKey"])");
  CHECK(accepted(set_of(enc + "," + ed + "," + exchange + "," + wrapping)) == accepted(set_of(ed)));
  // A provider may offer a kind of key that is not known here beside those that are (RFC 7517 §5).
  const std::string later = R"({"kty":"AKP","alg":"ML-DSA-44","kid":"q","pub":"AA"})";
  CHECK(accepted(set_of(later + "," + ed)) == accepted(set_of(ed)));
  const std::string all = ed + "," + key(kEc, R"("kid":"a")") + "," + key(rsa(), R"("kid":"r")");
  CHECK(accept_key_set(set_of(all), kIssuer)->kids == std::vector<std::string>{"a", "b", "r"});
  CHECK(accepted(set_of(all), {jose::Algorithm::kEdDsa}) == accepted(set_of(ed)));
  CHECK(
      rule_of(accept_key_set(set_of(ed), kIssuer, std::vector{jose::Algorithm::kEs256}).error()) ==
      "key-set.empty");
  std::string many;
  for (int i = 0; i < 32; ++i)
    many += fmt::format("{}{}", i == 0 ? "" : ",", key(kEd, fmt::format(R"("kid":"{}")", i)));
  CHECK(accept_key_set(set_of(many), kIssuer)->kids.size() == 32);
}

// --- discovery

TEST_CASE("every hostile discovery document is refused by name") {
  const IssuerUrls urls{.issuer = kIssuer, .hosts = {"keys.example"}};
  const auto documents = hostile_discoveries(kIssuer);
  CHECK(documents.size() >= 40);
  for (const HostileAnswer& hostile : documents) {
    CAPTURE(hostile.what);
    const auto keys = read_discovery(hostile.document, urls);
    REQUIRE_FALSE(keys);
    CHECK_MESSAGE(rule_of(keys.error()) == hostile.rule, keys.error().message);
    CHECK_FALSE(keys.error().message.contains("secret"));
  }
}

TEST_CASE("the places of a discovery document, for issuers with and without a path") {
  CHECK(discovery_urls("https://login.example") ==
        std::vector<std::string>{"https://login.example/.well-known/openid-configuration",
                                 "https://login.example/.well-known/oauth-authorization-server"});
  CHECK(discovery_urls("https://login.example/") == discovery_urls("https://login.example"));
  const std::vector<std::string> below = {
      "https://login.example:8443/realms/shop/.well-known/openid-configuration",
      "https://login.example:8443/.well-known/oauth-authorization-server/realms/shop"};
  CHECK(discovery_urls("https://login.example:8443/realms/shop") == below);
  CHECK(discovery_urls("https://login.example:8443/realms/shop/") == below);
}

TEST_CASE("keys may be on the issuer's host in any case and port, and on the configured hosts") {
  IssuerUrls urls{.issuer = kIssuer, .hosts = {"Keys.example", "127.0.0.1"}};
  const auto read = [&](std::string_view keys) {
    return read_discovery(fmt::format(R"({{"issuer":"{}","jwks_uri":"{}","x":[]}})", kIssuer, keys),
                          urls);
  };
  for (const char* keys : {"https://login.example/keys", "https://LOGIN.example:8443/a?b=c",
                           "https://keys.example/a", "https://127.0.0.1/a"})
    CHECK(read(keys).value() == keys);
  CHECK(rule_of(read("http://127.0.0.1/a").error()) == "discovery.jwks-uri-scheme");
  urls.insecure_loopback = true;
  CHECK(read("http://127.0.0.1/a").value() == "http://127.0.0.1/a");
  CHECK(rule_of(read("http://keys.example/a").error()) == "discovery.jwks-uri-scheme");
}

TEST_CASE("an issuer is https, or http to this machine by a flag, without query and user") {
  const auto check = [](std::string issuer, bool insecure = false) {
    return check_issuer({.issuer = std::move(issuer), .insecure_loopback = insecure}).has_value();
  };
  CHECK(check("https://login.example"));
  CHECK(check("https://login.example/realms/shop/"));
  CHECK_FALSE(check("http://127.0.0.1:8080"));
  for (const char* loopback : {"http://127.0.0.1:8080", "http://localhost", "http://[::1]:1/a"})
    CHECK(check(loopback, true));
  CHECK_FALSE(check("http://login.example", true));
  for (const char* bad : {"login.example", "https://", "https://a@login.example",
                          "https://login.example?a", "https://login.example/a#b", ""})
    CHECK_FALSE(check(bad));
  CHECK_FALSE(check("https://login.example/" + std::string(512, 'a')));
}

// --- a fetch

struct ScriptedProvider {
  std::map<std::string, http::Response> answers;  // others: 404
  std::vector<http::Call> calls;
  std::optional<Error> error;

  Result<http::Response> get(http::Call call) {
    calls.push_back(call);
    if (error) return std::unexpected(*error);
    const auto found = answers.find(call.url);
    if (found == answers.end()) return http::text_response(404, "no");
    if (call.answer_bytes_max < found->second.body.size())
      return fail(ErrorCode::kLimit, "body limit exceeded");
    return found->second;
  }
  Result<FetchedKeys> fetch(const FetchOrder& order = {}) {
    return fetch_keys(
        {.urls = {.issuer = kIssuer, .hosts = {}}, .algorithms = {}}, order,
        [this](http::Call call) { return get(std::move(call)); }, [] { return 0; });
  }
  void serve(const std::string& url, std::string body, http::Headers headers = {}) {
    answers[url] = {.headers = std::move(headers), .body = std::move(body)};
  }
};

const std::string kKeysUrl = "https://login.example/realms/shop/keys";
const std::string kDiscovery =
    fmt::format(R"({{"issuer":"{}","jwks_uri":"{}"}})", kIssuer, kKeysUrl);
const std::string kOpenIdUrl = kIssuer + "/.well-known/openid-configuration";
const std::string kOauthUrl =
    "https://login.example/.well-known/oauth-authorization-server/realms/shop";

TEST_CASE(
    "a fetch discovers, asks the second place when the first has nothing, and reads headers") {
  ScriptedProvider provider;
  provider.serve(kKeysUrl, set_of(key(kEd, R"("kid":"a")")),
                 {{"ETag", "\"1\""}, {"Cache-Control", "public, Max-Age=\"120\""}});
  const auto nothing = provider.fetch();
  CHECK(nothing.error().code == ErrorCode::kUnavailable);
  CHECK(rule_of(nothing.error()).empty());
  REQUIRE(provider.calls.size() == 2);

  provider.serve(kOauthUrl, kDiscovery);
  const auto second = provider.fetch();
  REQUIRE_MESSAGE(second, second.error().message);
  CHECK(second->jwks_uri == kKeysUrl);
  CHECK(second->keys->kids == std::vector<std::string>{"a"});
  CHECK(second->etag == "\"1\"");
  CHECK(second->max_age_ms == 120'000);

  // A bad document is not the second place's chance.
  provider.serve(kOpenIdUrl, "{}");
  CHECK(rule_of(provider.fetch().error()) == "discovery.no-issuer");
  provider.serve(kOpenIdUrl, kDiscovery);
  provider.calls.clear();
  CHECK(provider.fetch());
  CHECK(provider.calls.size() == 2);
}

TEST_CASE("a known place is asked alone, with the ETag of that place") {
  ScriptedProvider provider;
  provider.answers[kKeysUrl] = {
      .status = 304, .headers = {{"Cache-Control", "max-age=60"}}, .body = {}};
  const auto same = provider.fetch({.jwks_uri = kKeysUrl, .etag = "\"1\"", .etag_uri = kKeysUrl});
  REQUIRE_MESSAGE(same, same.error().message);
  CHECK_FALSE(same->keys);
  CHECK(same->max_age_ms == 60'000);
  REQUIRE(provider.calls.size() == 1);
  CHECK(http::find_header(provider.calls[0].headers, "If-None-Match") == "\"1\"");
  // Of another place it says nothing; a 304 to an unconditional request is no answer.
  const auto moved = provider.fetch(
      {.jwks_uri = kKeysUrl, .etag = "\"1\"", .etag_uri = "https://login.example/old"});
  CHECK(moved.error().code == ErrorCode::kUnavailable);
  CHECK(http::find_header(provider.calls[1].headers, "If-None-Match").empty());
}

TEST_CASE("redirects, errors and large answers are told apart") {
  ScriptedProvider provider;
  const FetchOrder order{.jwks_uri = kKeysUrl, .etag = {}, .etag_uri = {}};
  provider.answers[kKeysUrl] = {
      .status = 302, .headers = {{"Location", "https://evil.example"}}, .body = {}};
  CHECK(provider.fetch(order).error().message.contains("redirect"));
  CHECK(provider.calls.size() == 1);
  provider.serve(kKeysUrl, std::string(65'537, ' '));
  CHECK(rule_of(provider.fetch(order).error()) == "key-set.too-large");
  provider.error = Error{ErrorCode::kTimeout, "no whole answer within 5000 ms", {}};
  CHECK(rule_of(provider.fetch(order).error()).empty());
  CHECK(provider.fetch(order).error().code == ErrorCode::kTimeout);
  provider.error = Error{ErrorCode::kMessage, "not HTTP", {}};
  CHECK(rule_of(provider.fetch(order).error()) == "key-set.not-http");
}

TEST_CASE("max-age is read where it is one") {
  CHECK(max_age_ms("max-age=600") == 600'000);
  CHECK(max_age_ms("no-cache, MAX-AGE = 5 , private") == 5'000);
  CHECK(max_age_ms("max-age=99999999999999999999999") == TimeMs{86'400'000});
  for (const char* none : {"", "no-cache", "s-maxage=5", "max-age", "max-age=", "max-age=-1",
                           "max-age=5x", "x-max-age=5"})
    CHECK_MESSAGE(max_age_ms(none) == std::nullopt, none);
}

// --- the content of a ledger

TEST_CASE("a ledger has the sets of its configured issuers, and nothing of others is lost") {
  const auto first = make_keys_content(nullptr, {{"login", "{\"keys\":[]}"}, {"staff", ""}});
  REQUIRE_MESSAGE(first, first.error().message);
  CHECK(first->data_roots == std::vector<std::string>{"keys/login"});
  const auto manifest = first->content.loader()(first->content.tree->find("manifest.json")->hash);
  CHECK(model::Manifest::parse(**manifest)->data_roots == first->data_roots);
  CHECK(first->content.tree->files().size() == 2);

  const auto both = make_keys_content(&first->content, {{"login", ""}, {"staff", "{}"}});
  CHECK(both->data_roots == std::vector<std::string>{"keys/login", "keys/staff"});
  CHECK(both->content.tree->find("keys/login/data.json")->hash ==
        first->content.tree->find("keys/login/data.json")->hash);
  // Nothing new: the same content.
  CHECK(make_keys_content(&both->content, {{"login", ""}, {"staff", ""}})
            ->content.tree->content_root() == both->content.tree->content_root());
  // An issuer that is configured no more.
  CHECK(make_keys_content(&both->content, {{"staff", ""}})->data_roots ==
        std::vector<std::string>{"keys/staff"});
  CHECK(make_keys_content(nullptr, {{"login", ""}}).error().code == ErrorCode::kInvalidModel);
  for (const char* path : {"policies/allow.rego", "keys/login/rules.rego", "data.json"}) {
    const auto mixed = samples::model_of({{"manifest.json", "{}"}, {path, "{}"}});
    CHECK(make_keys_content(&mixed, {{"login", "{}"}}).error().code == ErrorCode::kConfig);
  }
}

}  // namespace
}  // namespace notp::sources
