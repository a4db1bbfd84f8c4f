// Access tokens: what is asked for and how, which answers are taken, when a request is repeated,
// and that no secret is in an error.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/base64url.hpp"
#include "common/crypto/digest.hpp"
#include "common/jose/token.hpp"
#include "common/oauth/access_core.hpp"
#include "common/oauth/dpop.hpp"
#include "common/oauth/oauth_limits.hpp"
#include "common/storage/files.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::oauth {
namespace {

constexpr TimeMs kWall = 1'800'000'000'000;
constexpr TimeMs kBoot = 5'000'000;
const Server kServer{.issuer = "https://id.example"};
const std::string kEndpoint = "https://id.example/token";

// A secret that no error may hold.
constexpr std::string_view kSecret = "pass word:/?#é&=+%";

struct Files {
  Files() {
    REQUIRE(write_file(file("secret"), std::string(kSecret) + "\n", 0600));
    for (const char* name : {"key", "dpop", "dpop2"})
      REQUIRE(write_file(file(name),
                         jose::SigningKey::generate(jose::Algorithm::kEs256).value().pem().value(),
                         0600));
  }
  std::filesystem::path file(std::string_view name) const { return folder.path() / name; }
  ClientAuthConfig basic() const {
    return {.method = Method::kClientSecretBasic,
            .client_id = "app 1",
            .token_endpoint = kEndpoint,
            .secret_file = file("secret"),
            .key_file = {},
            .kid = {},
            .algorithm = {},
            .certificate = {},
            .private_key = {},
            .scope = "keys read",
            .resource = {},
            .dpop_key_file = {}};
  }
  ClientAuthConfig bound() const {
    ClientAuthConfig out = basic();
    out.dpop_key_file = file("dpop");
    return out;
  }
  TemporaryFolder folder;
};

http::Response answer(unsigned status, std::string body, http::Headers headers = {}) {
  return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}
http::Response token_answer(std::string_view type = "Bearer", std::string_view token = "tok.1",
                            std::string_view more = R"(,"expires_in":300)") {
  return answer(200,
                fmt::format(R"({{"access_token":"{}","token_type":"{}"{}}})", token, type, more));
}
http::Response nonce_wanted(std::string nonce, bool at_resource) {
  return at_resource
             ? answer(401, "",
                      {{"WWW-Authenticate", "DPoP error=\"use_dpop_nonce\""},
                       {"DPoP-Nonce", std::move(nonce)}})
             : answer(400, R"({"error":"use_dpop_nonce"})", {{"DPoP-Nonce", std::move(nonce)}});
}

// The claims of the proof in a call, which must be one of the key in its header.
json::object proof_in(const http::Call& call) {
  const auto token = jose::read_token(http::find_header(call.headers, "DPoP"));
  REQUIRE_MESSAGE(token, token.error().message);
  const json::object& jwk = token->header.at("jwk").as_object();
  CHECK(jose::private_member_of(jwk).empty());
  CHECK(token->header.size() == 3);
  const auto keys = jose::KeySet::parse(json::object{{"keys", json::array{jwk}}});
  REQUIRE(keys);
  const auto good = jose::check_token(*token, *keys,
                                      {.algorithms = {token->algorithm},
                                       .typ = "dpop+jwt",
                                       .now_ms = kWall,
                                       .age_ms_max = 1,
                                       .needs_expiry = false});
  CHECK_MESSAGE(good, good.error().message);
  return token->claims;
}

TEST_CASE("a client's name and secret are form-encoded before they are joined") {
  // RFC 6749 §2.3.1, §4.1.3.
  CHECK(basic_authorization("s6BhdRkqt3", "gX1fBat3bV") == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW");
  CHECK(from_base64(basic_authorization("a:b", "p w/é+~*").substr(6)).value() ==
        "a%3Ab:p+w%2F%C3%A9%2B%7E*");
}

TEST_CASE("a request for a token by a secret has it in its header alone") {
  const Files files;
  const auto credentials = Credentials::read(files.basic());
  REQUIRE_MESSAGE(credentials, credentials.error().message);
  SeededRandom random(1);
  const auto call = token_request(files.basic(), kServer, *credentials, "", kWall, random);
  REQUIRE(call);
  CHECK(call->method == "POST");
  CHECK(call->url == kEndpoint);
  CHECK(call->body == "grant_type=client_credentials&scope=keys+read");
  CHECK(http::find_header(call->headers, "Authorization") == basic_authorization("app 1", kSecret));
  CHECK(http::find_header(call->headers, "DPoP").empty());
}

TEST_CASE("a client assertion names this client, its server and a short time, once") {
  const Files files;
  ClientAuthConfig config = files.basic();
  config.method = Method::kPrivateKeyJwt;
  config.key_file = files.file("key");
  config.kid = "k1";
  const auto credentials = Credentials::read(config);
  REQUIRE(credentials);
  CHECK(credentials->secret.empty());
  SystemRandom random;
  std::vector<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    const auto call = token_request(config, kServer, *credentials, "", kWall, random);
    REQUIRE(call);
    CHECK(call->body.find("client_id=app+1&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                          "client-assertion-type%3Ajwt-bearer&client_assertion=") !=
          std::string::npos);
    CHECK(http::find_header(call->headers, "Authorization").empty());
    const auto token = jose::read_token(call->body.substr(call->body.rfind('=') + 1));
    REQUIRE_MESSAGE(token, token.error().message);
    CHECK(token->kid == "k1");
    CHECK(token->claims.at("sub") == "app 1");
    ids.emplace_back(token->claims.at("jti").as_string());
    const auto keys = jose::KeySet::parse(json::object{
        {"keys", json::array{credentials->assertion_key->public_jwk("k1").canonical()}}});
    const jose::TokenRules rules{.algorithms = {jose::Algorithm::kEs256},
                                 .typ = "JWT",
                                 .issuer = "app 1",
                                 .audience = "https://id.example",
                                 .now_ms = kWall};
    CHECK(jose::check_token(*token, *keys, rules));
    jose::TokenRules later = rules;
    later.now_ms = kWall + kAssertionLifeMs;
    later.leeway_ms = 0;
    CHECK_FALSE(jose::check_token(*token, *keys, later));
  }
  CHECK(ids[0] != ids[1]);
}

TEST_CASE("a proof is for one method, one address without its query, and one token (RFC 9449)") {
  const auto key = jose::SigningKey::generate(jose::Algorithm::kEs256).value();
  SystemRandom random;
  http::Call call;
  const std::string_view access = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
  call.headers.emplace_back("DPoP", dpop_proof(key,
                                               {.method = "GET",
                                                .url = "https://rs.example/a?q=1",
                                                .access_token = access,
                                                .nonce = "n-1"},
                                               kWall, random)
                                        .value());
  const json::object claims = proof_in(call);
  CHECK(claims.at("htm") == "GET");
  CHECK(claims.at("htu") == "https://rs.example/a");
  CHECK(claims.at("ath") == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");  // §7.1
  CHECK(claims.at("nonce") == "n-1");
  CHECK(claims.at("iat") == kWall / 1'000);
  CHECK(from_base64url(claims.at("jti").as_string()).value().size() == 16);
  // §6.1.
  CHECK(jose::PublicJwk::parse({{"kty", "EC"},
                                {"crv", "P-256"},
                                {"x", "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"},
                                {"y", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}})
            .value()
            .thumbprint() == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

struct Conversation {
  explicit Conversation(const ClientAuthConfig& config)
      : credentials(Credentials::read(config).value()), core(config, kServer) {}
  http::Call ask_token() { return core.token_request(credentials, kWall, random).value(); }
  Result<AccessCore::Next> take(const http::Response& response) {
    return core.on_token_answer(response, credentials, kBoot);
  }
  bool has_token(TimeMs boot_ms = kBoot) const { return core.has_token(credentials, boot_ms); }
  http::Call request() {
    http::Call call{.url = "https://rs.example/keys", .headers = {}, .body = {}};
    const auto done = core.authorize(call, credentials, kWall, random);
    REQUIRE_MESSAGE(done, done.error().message);
    return call;
  }
  Credentials credentials;
  AccessCore core;
  SeededRandom random{7};
};

using Next = AccessCore::Next;

TEST_CASE("a token is kept until shortly before its end") {
  const Files files;
  Conversation on(files.basic());
  CHECK_FALSE(on.has_token());
  on.ask_token();
  CHECK(on.take(token_answer()).value() == Next::kDone);
  CHECK(on.has_token(kBoot + 300'000 - kRenewalMs - 1));
  CHECK_FALSE(on.has_token(kBoot + 300'000 - kRenewalMs));
  const http::Call call = on.request();
  CHECK(http::find_header(call.headers, "Authorization") == "Bearer tok.1");
  CHECK(http::find_header(call.headers, "DPoP").empty());
  on.ask_token();
  CHECK(on.take(token_answer("bearer", "t", R"(,"expires_in":10)")).value() == Next::kDone);
  CHECK(on.has_token(kBoot + 7'999));
  CHECK_FALSE(on.has_token(kBoot + 8'000));
  on.ask_token();
  CHECK(on.take(token_answer("BEARER", "t", R"(,"expires_in":1e18)")).value() == Next::kDone);
  CHECK_FALSE(on.has_token(kBoot + kTokenLifeMsMax));
}

TEST_CASE("a server's nonce is used in one more request for a token, not in a third") {
  const Files files;
  Conversation on(files.bound());
  CHECK_FALSE(proof_in(on.ask_token()).contains("nonce"));
  CHECK(on.take(nonce_wanted("n-1", false)).value() == Next::kAgain);
  const json::object proof = proof_in(on.ask_token());
  CHECK(proof.at("nonce") == "n-1");
  CHECK_FALSE(proof.contains("ath"));
  const auto refused = on.take(nonce_wanted("n-2", false));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kDenied);
  // The next token begins with the last nonce.
  CHECK(proof_in(on.ask_token()).at("nonce") == "n-2");
  CHECK(on.take(token_answer("DPoP")).value() == Next::kDone);
  CHECK(on.has_token());
}

TEST_CASE("a resource's nonce is another one, and is tried once for each request") {
  const Files files;
  Conversation on(files.bound());
  on.ask_token();
  CHECK(on.take(token_answer("DPoP")).value() == Next::kDone);
  const http::Call first = on.request();
  CHECK(http::find_header(first.headers, "Authorization") == "DPoP tok.1");
  CHECK(proof_in(first).at("ath").as_string() == to_base64url(sha256("tok.1").view()));
  CHECK_FALSE(proof_in(first).contains("nonce"));
  CHECK(on.core.on_response(nonce_wanted("r-1", true), true) == Next::kAgain);
  CHECK(proof_in(on.request()).at("nonce") == "r-1");
  CHECK(on.core.on_response(nonce_wanted("r-2", true), false) == Next::kDone);
  CHECK(on.has_token());
  CHECK(proof_in(on.request()).at("nonce") == "r-2");
  // A nonce in a success is for the next request (§8.2); the same one again is no reason to repeat.
  CHECK(on.core.on_response(answer(200, "", {{"DPoP-Nonce", "r-3"}}), true) == Next::kDone);
  CHECK(proof_in(on.request()).at("nonce") == "r-3");
  CHECK(on.core.on_response(nonce_wanted("r-3", true), true) == Next::kDone);
  CHECK(on.core.on_response(nonce_wanted("bad nonce", true), true) == Next::kDone);
  CHECK(on.core.on_response(nonce_wanted(std::string(513, 'n'), true), true) == Next::kDone);
}

TEST_CASE(
    "a token that was good and is refused is replaced once; a new one that is refused is not") {
  const Files files;
  Conversation on(files.basic());
  const http::Response refusal = answer(401, "", {{"WWW-Authenticate", "Bearer"}});
  on.ask_token();
  CHECK(on.take(token_answer()).value() == Next::kDone);
  CHECK(on.core.on_response(answer(200, ""), true) == Next::kDone);
  CHECK(on.has_token());
  CHECK(on.core.on_response(answer(403, ""), true) == Next::kDone);
  CHECK(on.has_token());
  CHECK(on.core.on_response(refusal, true) == Next::kAgain);
  CHECK_FALSE(on.has_token());
  on.ask_token();
  CHECK(on.take(token_answer()).value() == Next::kDone);
  CHECK(on.core.on_response(refusal, false) == Next::kDone);
  CHECK_FALSE(on.has_token());
}

TEST_CASE("a token goes with the key that it is bound to") {
  const Files files;
  Conversation on(files.bound());
  on.ask_token();
  CHECK(on.take(token_answer("DPoP")).value() == Next::kDone);
  ClientAuthConfig other = files.bound();
  other.dpop_key_file = files.file("dpop2");
  CHECK_FALSE(on.core.has_token(Credentials::read(other).value(), kBoot));
  CHECK_FALSE(on.core.has_token(Credentials::read(files.basic()).value(), kBoot));
  CHECK(on.has_token());
}

TEST_CASE("nothing but a good answer gives a token, and errors repeat nothing of a server's text") {
  struct Row {
    http::Response response;
    ErrorCode code;
    const char* names;
  };
  for (const Row& row : {
           Row{answer(400, R"({"error":"invalid_client","error_description":"hush"})"),
               ErrorCode::kDenied, "status 400, invalid_client"},
           Row{answer(401, R"({"error":"the secret hush is wrong"})"), ErrorCode::kDenied,
               "status 401"},
           Row{answer(302, "", {{"Location", "https://evil.example/hush"}}), ErrorCode::kDenied,
               "status 302"},
           Row{answer(503, "hush"), ErrorCode::kUnavailable, "status 503"},
           Row{answer(429, ""), ErrorCode::kUnavailable, "status 429"},
           Row{answer(200, "hush"), ErrorCode::kMessage, "JSON object"},
           Row{answer(200, "[]"), ErrorCode::kMessage, "JSON object"},
           Row{answer(200, R"({"access_token":"hush","access_token":"b","token_type":"Bearer"})"),
               ErrorCode::kMessage, "JSON object"},
           Row{answer(200, R"({"token_type":"Bearer"})"), ErrorCode::kMessage, "access_token"},
           Row{answer(200, R"({"access_token":1,"token_type":"Bearer"})"), ErrorCode::kMessage,
               "access_token"},
           Row{answer(200, R"({"access_token":"hush"})"), ErrorCode::kMessage, "token_type"},
           Row{token_answer("Bearer", "hush\\r\\nX: y"), ErrorCode::kMessage, "characters"},
           Row{token_answer("Bearer", std::string(kAccessTokenBytesMax + 1, 'a')),
               ErrorCode::kMessage, "bytes"},
           Row{token_answer("DPoP", "hush"), ErrorCode::kMessage, "token_type is \"DPoP\""},
           Row{token_answer("mac", "hush"), ErrorCode::kMessage, "token_type is \"mac\""},
           Row{token_answer("Bearer", "hush", R"(,"expires_in":"300")"), ErrorCode::kMessage,
               "expires_in"},
           Row{token_answer("Bearer", "hush", R"(,"expires_in":-1)"), ErrorCode::kMessage,
               "expires_in"},
           Row{answer(200, std::string(kTokenAnswerBytesMax, ' ') + "{}"), ErrorCode::kMessage,
               "too long"},
       }) {
    const auto token = read_token_answer(row.response, "", kBoot);
    REQUIRE_FALSE(token);
    CHECK(token.error().code == row.code);
    CHECK_MESSAGE(token.error().message.find(row.names) != std::string::npos,
                  token.error().message);
    CHECK_MESSAGE(token.error().message.find("hush") == std::string::npos, token.error().message);
  }
  // A token that is not bound although it was asked for (RFC 9449 §5).
  CHECK(read_token_answer(token_answer("Bearer"), "thumbprint", kBoot)
            .error()
            .message.find("not dpop") != std::string::npos);
}

TEST_CASE("neither secrets nor tokens go over plain HTTP, but for a test on this machine") {
  const Files files;
  SeededRandom random(1);
  const Credentials credentials = Credentials::read(files.basic()).value();
  for (const auto& [url, insecure, good] : {std::tuple("http://id.example/token", false, false),
                                            std::tuple("http://id.example/token", true, false),
                                            std::tuple("http://127.0.0.1:1/token", false, false),
                                            std::tuple("http://127.0.0.1:1/token", true, true),
                                            std::tuple("ftp://id.example/token", true, false)}) {
    CAPTURE(url);
    const Server server{.issuer = "i", .insecure_loopback = insecure};
    ClientAuthConfig config = files.basic();
    config.token_endpoint = url;
    CHECK(token_request(config, server, credentials, "", kWall, random).has_value() == good);
    AccessCore core(files.basic(), server);
    REQUIRE(core.on_token_answer(token_answer(), credentials, kBoot));
    http::Call call{.url = url, .headers = {}, .body = {}};
    CHECK(core.authorize(call, credentials, kWall, random).has_value() == good);
  }
}

TEST_CASE("files of secrets are read each time, by their owner alone, and never shown") {
  const Files files;
  const ClientAuthConfig config = files.basic();
  CHECK(Credentials::read(config).value().secret == kSecret);
  REQUIRE(write_file(files.file("secret"), "another", 0600));
  CHECK(Credentials::read(config).value().secret == "another");
  REQUIRE(write_file(files.file("secret"), kSecret, 0644));
  const auto open = Credentials::read(config);
  REQUIRE_FALSE(open);
  CHECK(open.error().code == ErrorCode::kConfig);
  CHECK(open.error().message.find("pass word") == std::string::npos);
  REQUIRE(write_file(files.file("secret"), "\n", 0600));
  CHECK(Credentials::read(config).error().message.find("empty") != std::string::npos);
  REQUIRE(write_file(files.file("secret"), std::string(kSecretBytesMax + 1, 's'), 0600));
  CHECK_FALSE(Credentials::read(config));
}

TEST_CASE("a configuration has what its method needs, and nothing of another") {
  const auto load = [](const json::value& document) {
    return load_client_auth(config::Section(document));
  };
  const auto basic = load({{"method", "client_secret_basic"},
                           {"client_id", "app"},
                           {"token_endpoint", kEndpoint},
                           {"secret_file", "s"},
                           {"scope", "keys"},
                           {"dpop_key_file", "d"}});
  REQUIRE_MESSAGE(basic, basic.error().message);
  CHECK(basic->secret_file == "s");
  CHECK(basic->dpop_key_file == "d");
  const auto jwt = load({{"method", "private_key_jwt"},
                         {"client_id", "app"},
                         {"token_endpoint", kEndpoint},
                         {"key_file", "k"},
                         {"kid", "1"},
                         {"algorithm", "PS256"}});
  REQUIRE(jwt);
  CHECK(jwt->algorithm == jose::Algorithm::kPs256);
  const auto tls = load({{"method", "tls_client_auth"},
                         {"client_id", "app"},
                         {"token_endpoint", kEndpoint},
                         {"certificate", "c"}});
  REQUIRE(tls);
  CHECK(tls->private_key == "c");
  for (const json::value& bad :
       {json::value{
            {"method", "client_secret_basic"}, {"client_id", "a"}, {"token_endpoint", kEndpoint}},
        json::value{{"method", "client_secret_basic"},
                    {"client_id", "a"},
                    {"token_endpoint", kEndpoint},
                    {"key_file", "k"}},
        json::value{{"method", "client_secret_basic"},
                    {"client_id", "a"},
                    {"token_endpoint", kEndpoint},
                    {"secret_file", "s"},
                    {"certificate", "c"}},
        json::value{{"method", "client_secret_basic"},
                    {"client_id", "a"},
                    {"token_endpoint", kEndpoint},
                    {"secret_file", "s"},
                    {"kid", "k"}},
        json::value{
            {"method", "private_key_jwt"}, {"client_id", "a"}, {"token_endpoint", kEndpoint}},
        json::value{{"method", "tls_client_auth"},
                    {"client_id", "a"},
                    {"token_endpoint", kEndpoint},
                    {"key", "k"}}}) {
    const auto refused = load(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kConfig);
  }
}

}  // namespace
}  // namespace notp::oauth
