// Requests and subject tokens that a hostile or careless workload could send to a Txn-Token
// Service: each is refused for its own reason, and no refusal repeats a token.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/crypto/x509.hpp"
#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

struct World {
  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
  Service service{*grants};
  size_t refused = 0;

  // `secret`: what no refusal may hold.
  void must_refuse(const std::string& what, const Client& client, const std::string& body,
                   std::string_view reason, std::string_view secret = {},
                   std::string_view content_type = kFormType) {
    const auto given = service.issue(client, body, kStartMs, content_type);
    CAPTURE(what);
    CHECK_FALSE(given);
    if (given) return;
    ++refused;
    CHECK_MESSAGE(given.error().reason() == reason, given.error().description);
    CHECK(given.error().status() >= 400);
    CHECK(given.error().description.size() <= 400);
    if (secret.size() >= 16) CHECK_FALSE(given.error().description.contains(secret.substr(0, 16)));
  }
  void must_refuse(const std::string& what, const Parameters& form, std::string_view reason) {
    std::string secret;
    for (const auto& [name, value] : form)
      if (name == "subject_token") secret = value;
    must_refuse(what, client("a"), encode(form), reason, secret);
  }
};

Parameters good() { return access_form(kStartMs, "order:pay order:read"); }

// --- forms

TEST_CASE("forms") {
  World world;
  const std::string body = encode(good());
  REQUIRE(world.service.issue(client("a"), body, kStartMs));
  for (const char* type :
       {"", "application/json", "application/x-www-form-urlencoded2", "text/plain",
        "multipart/form-data; boundary=x", "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=iso-8859-1",
        "application/x-www-form-urlencoded; boundary=x",
        "application/x-www-form-urlencoded, application/json",
        "application/x-www-form-urlencoded; charset=utf-8; charset=utf-8"})
    world.must_refuse(type, client("a"), body, "content_type", "", type);
  for (const char* type : {"Application/X-WWW-Form-URLEncoded ; Charset=\"UTF-8\"",
                           "application/x-www-form-urlencoded;charset=utf-8"})
    CHECK(world.service.issue(client("a"), body, kStartMs, type));
  const std::pair<const char*, const char*> broken[] = {
      {"%", "bad_form"},
      {"a=%", "bad_form"},
      {"a=%4", "bad_form"},
      {"a=%zz", "bad_form"},
      {"a=%00", "bad_form"},
      {"%00=a", "bad_form"},
      {"a=%C3%28", "bad_form"},
      {"a=%ED%A0%80", "bad_form"},
      {"a=%F5%80%80%80", "bad_form"},
      {"a=%C0%AF", "bad_form"},
      {"a=\xff", "bad_form"},
      {"%FF=a", "bad_form"},
      {"a=1&a=1", "repeated_parameter"},
      {"a&a", "repeated_parameter"},
      {"%61=1&a=2", "repeated_parameter"},
      {"=1&=2", "repeated_parameter"},
      {"scope=", "repeated_parameter"},
      {"scope=order%3Apay", "repeated_parameter"}};
  for (const auto& [tail, reason] : broken)
    world.must_refuse(tail, client("a"), body + "&" + tail, reason);
  world.must_refuse("an empty body", client("a"), "", "missing_parameter");
  world.must_refuse("only separators", client("a"), std::string(60'000, '&'), "missing_parameter");
  world.must_refuse("JSON", client("a"), R"({"grant_type":"x"})", "missing_parameter");
  world.must_refuse("a large body", client("a"), body + "&x=" + std::string(66'000, 'x'),
                    "form_too_large");
  std::string many = body;
  for (int i = 0; i < 40; ++i) many += fmt::format("&p{}=1", i);
  world.must_refuse("many parameters", client("a"), many, "form_too_large");
  CHECK(world.refused == 33);
}

TEST_CASE("parameters") {
  World world;
  for (const char* name : {"grant_type", "audience", "scope", "requested_token_type",
                           "subject_token", "subject_token_type"}) {
    const char* reason = std::string_view(name) == "scope" ? "bad_scope" : "missing_parameter";
    world.must_refuse(name, without(good(), name), reason);
    world.must_refuse(name, with(good(), name, ""), reason);
    Parameters twice = good();
    for (const auto& [known, value] : good())
      if (known == name) twice.emplace_back(known, value);
    world.must_refuse(name, twice, "repeated_parameter");
  }
  const auto rows = [&](const char* name, std::initializer_list<const char*> values,
                        const char* reason) {
    for (const char* value : values)
      world.must_refuse(fmt::format("{}={}", name, value), with(good(), name, value), reason);
  };
  rows("grant_type",
       {"authorization_code", "client_credentials", "refresh_token", "password",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer", "token-exchange",
        "urn:ietf:params:oauth:grant-type:Token-Exchange",
        "urn:ietf:params:oauth:grant-type:token-exchange ",
        " urn:ietf:params:oauth:grant-type:token-exchange"},
       "grant_type");
  rows("requested_token_type",
       {"urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt",
        "urn:ietf:params:oauth:token-type:refresh_token",
        "urn:ietf:params:oauth:token-type:id_token", "txn_token",
        "urn:ietf:params:oauth:token-type:txn-token", "urn:ietf:params:oauth:token-type:TXN_TOKEN",
        "urn:ietf:params:oauth:token-type:txn_token#", "N_A"},
       "requested_type");
  rows(
      "subject_token_type",
      {"urn:ietf:params:oauth:token-type:refresh_token", "urn:ietf:params:oauth:token-type:saml1",
       "urn:ietf:params:oauth:token-type:saml2", "urn:ietf:params:oauth:token-type:txntoken",
       "urn:ietf:params:oauth:token-type:", "access_token", "jwt", "self_signed",
       "urn:ietf:params:oauth:token-type:Access_Token",
       "urn:ietf:params:oauth:token-type:access_token ", "urn:example:legacy", "https://x.example"},
      "subject_type");
  rows("audience",
       {"other.internal", "core-platform.internal.", "CORE-PLATFORM.internal",
        "https://core-platform.internal", "core-platform.internal/", "*", "core-platform"},
       "audience");
  rows("audience",
       {"core-platform.internal other.internal", " core-platform.internal",
        "core-platform.internal\n", "core-pl\xc3\xa4tform.internal"},
       "bad_form");
  rows("resource", {"https://core-platform.internal"}, "resource");
  rows("actor_token", {"x"}, "actor_token");
  rows("actor_token_type", {"urn:ietf:params:oauth:token-type:jwt"}, "actor_token");
  rows("client_secret", {"x"}, "other_authentication");
  rows("client_assertion", {"x"}, "other_authentication");
  rows("client_assertion_type", {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
       "other_authentication");
  rows("client_id",
       {"spiffe://core-platform.internal/ns/shop/sa/b", "a",
        "spiffe://core-platform.internal/ns/shop/sa/A",
        "spiffe://core-platform.internal/ns/shop/sa/a/",
        "SPIFFE://core-platform.internal/ns/shop/sa/a"},
       "other_client");
  rows("client_id", {"spiffe://core-platform.internal/ns/shop/sa/a\n"}, "bad_form");
  for (const auto& [name, bytes] :
       {std::pair("audience", 257), std::pair("client_id", 2'049),
        std::pair("subject_token", 16'385), std::pair("request_context", 8'193),
        std::pair("request_details", 8'193)})
    world.must_refuse(name, with(good(), name, std::string(static_cast<size_t>(bytes), 'x')),
                      "parameter_too_large");
  CHECK(world.refused == 77);
}

TEST_CASE("scopes") {
  World world;
  std::string many, long_one(129, 's');
  for (int i = 0; i < 33; ++i) many += fmt::format("{}s{}", i == 0 ? "" : " ", i);
  for (const std::string& scope :
       {std::string(" "), std::string("a  b"), std::string(" a"), std::string("a "),
        std::string("a\tb"), std::string("a\nb"), std::string("a\"b"), std::string("a\\b"),
        std::string("a\x7f"), std::string("\xc3\xa9"), std::string("a a"), std::string("a b a"),
        std::string("a,b a,b"), many, long_one})
    world.must_refuse(scope.substr(0, 20), with(good(), "scope", scope), "bad_scope");
  CHECK(world.refused == 15);
}

// --- request_context, request_details

TEST_CASE("contexts") {
  World world;
  const std::string token = id_token(kStartMs);
  const std::string deep(8'000 / 2, '['), closed(8'000 / 2, ']');
  const std::string nested = "{\"a\":" + std::string(8, '[') + std::string(8, ']') + "}";
  for (const char* name : {"request_context", "request_details"}) {
    const char* bad = std::string_view(name) == "request_context" ? "bad_context" : "bad_details";
    for (const std::string& text : {std::string("{"),
                                    std::string("[]"),
                                    std::string("1"),
                                    std::string("null"),
                                    std::string("\"x\""),
                                    std::string("{}{}"),
                                    std::string("{\"a\":1,\"a\":2}"),
                                    std::string("{\"a\":1,\"\\u0061\":2}"),
                                    std::string("{\"a\":{\"b\":1,\"b\":1}}"),
                                    std::string("{\"a\":1e999}"),
                                    std::string("{\"a\":99999999999999999999}"),
                                    std::string("{'a':1}"),
                                    std::string("{\"a\":1,}"),
                                    std::string("{a:1}"),
                                    std::string("{\"a\":NaN}"),
                                    std::string("{\"a\":\"\t\"}"),
                                    std::string("eyJhIjoxfQ"),
                                    std::string("\xef\xbb\xbf{}"),
                                    "{\"a\":" + deep + closed.substr(0, 3'000),
                                    deep,
                                    nested})
      world.must_refuse(fmt::format("{}={}", name, text.substr(0, 30)), with(good(), name, text),
                        bad);
    for (const json::value& value :
         {json::value(token), json::value("Bearer " + token), json::value{1, {{"x", token}}},
          json::value{{token, 1}}, json::value("eyJhbGciOiJub25lIn0.e30."),
          json::value("eyJhbGciOiJub25lIn0..")})
      world.must_refuse(name, with(good(), name, json::serialize(json::object{{"v", value}})),
                        "token_in_details");
    // The token that is sent in the same request, although it does not look like one.
    Parameters opaque = form_of("access_token", "2YotnFZFEjr1zCsicMWpAA", "order:pay");
    world.must_refuse(name, with(opaque, name, R"({"t":"x2YotnFZFEjr1zCsicMWpAAx"})"),
                      "token_in_details");
  }
  CHECK(world.refused == 56);
}

TEST_CASE("delegations that are malformed or too wide") {
  World world;
  const int64_t end_s = kStartS + 60;
  const auto refuse = [&](const char* what, const json::value& delegate, const char* reason) {
    world.must_refuse(
        what,
        with(good(), "request_details", json::serialize(json::object{{"delegate", delegate}})),
        reason);
  };
  refuse("null", nullptr, "bad_delegate");
  refuse("true", true, "bad_delegate");
  refuse("a list", json::array{}, "bad_delegate");
  refuse("empty", json::object{}, "bad_delegate");
  const auto change = [&](const json::object& members) {
    return json::value(delegate_to(workload("b"), end_s, members).at("delegate"));
  };
  for (const json::value& to :
       {json::value(), json::value(1), json::value(""), json::value("b"), json::value("*"),
        json::value("spiffe://*"), json::value("spiffe://core-platform.internal/*/sa/b"),
        json::value("spiffe://core-platform.internal"),
        json::value("spiffe://core-platform.internal/"),
        json::value("spiffe://other.internal/ns/shop/sa/b"),
        json::value("spiffe://core-platform.internal/ns/shop/s*"),
        json::value("spiffe://core-platform.internal/../b"),
        json::value("https://core-platform.internal/b"), json::value{workload("b")}})
    refuse("to", change({{"to", to}}), "bad_delegate");
  for (const json::value& scope : {json::value(), json::value(1), json::value{"order:pay"}})
    refuse("scope", change({{"scope", scope}}), "bad_delegate");
  for (const char* scope : {"", " ", "order:pay  order:read", "order:pay order:pay"})
    refuse("scope", change(json::object{{"scope", scope}}), "bad_scope");
  for (const char* scope : {"order:all", "order:pay order:all", "ORDER:pay", "order"})
    refuse("scope", change(json::object{{"scope", scope}}), "grant_scope");
  for (const json::value& date :
       {json::value(), json::value("soon"), json::value(0), json::value(-1), json::value(kStartS),
        json::value(kStartS - 1), json::value(kStartS + 8 * 24 * 3'600), json::value(1e300),
        json::value(kStartMs), json::value{kStartS + 5}})
    refuse("not_after", change({{"not_after", date}}), "bad_delegate");
  for (const json::value& uses : {json::value(0), json::value(-1), json::value(17),
                                  json::value(1.5), json::value("1"), json::value(json::array{1})})
    refuse("uses", change({{"uses", uses}}), "bad_delegate");
  for (const json::value& digest :
       {json::value(1), json::value(""), json::value("abc"),
        json::value("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), json::value(sha256("x").hex()),
        json::value(to_base64url(sha256("x").view()) + "="),
        json::value(to_base64(sha256("y").view()))})
    refuse("digest", change({{"digest", digest}}), "bad_delegate");
  refuse("a member that would not bind", change({{"Digest", "x"}}), "bad_delegate");
  refuse("another", change({{"aud", "x"}}), "bad_delegate");
  CHECK(world.refused == 54);
}

TEST_CASE("grants that are not there, not whole, or asked for as somebody else") {
  World world;
  const auto redeem = [&](const json::value& grant, const std::string& jti,
                          const json::object& more = {}) {
    return with(form_of("self_signed", self_signed("a", jti, kStartMs), "order:pay"),
                "request_details", json::serialize(changed({{"grant", grant}}, more)));
  };
  const std::string number(22, 'A');
  int jti = 0;
  for (const json::value& grant :
       {json::value(1), json::value(true), json::value(""), json::value("x"),
        json::value(std::string(21, 'A')), json::value(std::string(23, 'A')),
        json::value(std::string(21, 'A') + "B"), json::value(number + "=="),
        json::value(std::string(21, 'A') + "/"), json::value{number},
        json::value(std::string(7'000, 'A')), json::value("' OR 1=1 --AAAAAAAAAAA")})
    world.must_refuse("grant", redeem(grant, std::to_string(++jti)), "bad_details");
  world.must_refuse("digest", redeem(json::value(number), std::to_string(++jti), {{"digest", 1}}),
                    "bad_details");
  world.must_refuse("unknown", redeem(json::value(number), std::to_string(++jti)), "grant_unknown");
  world.must_refuse(
      "with an access token",
      with(good(), "request_details", json::serialize(json::object{{"grant", number}})),
      "grant_subject");
  world.must_refuse(
      "for a subject of its own choice",
      with(form_of("self_signed", self_signed("a", "s1", kStartMs, {{"sub", "ada"}}), "order:pay"),
           "request_details", json::serialize(json::object{{"grant", number}})),
      "grant_subject");
  CHECK(world.refused == 16);
}

// --- clients

TEST_CASE("clients that are not workloads of this domain") {
  World world;
  for (const char* identity :
       {"", "ada", "spiffe://other.internal/ns/shop/sa/a", "spiffe://core-platform.internal",
        "spiffe://core-platform.internal/", "https://core-platform.internal/a",
        "spiffe://core-platform.internal.evil.example/a", "spiffe://core-platform.internal/a/../b",
        "spiffe://core-platform.internal/a b", "spiffe://CORE-PLATFORM.internal/a",
        "spiffe://core-platform.internal:443/a", "spiffe://user@core-platform.internal/a",
        "spiffe://core-platform.internal/a?x", "spiffe://core-platform.internal/a#x"})
    world.must_refuse(identity, Client{identity, std::nullopt}, encode(good()), "not_a_workload");
  CHECK(world.refused == 14);
}

// --- subject tokens

// Any text as header and claims, signed.
std::string raw_token(const std::string& header, const std::string& claims,
                      const std::string& key = "login") {
  const std::string input = to_base64url(header) + "." + to_base64url(claims);
  return input + "." + to_base64url(signing_key(key).sign(input).value());
}
const std::string kHeader = R"({"alg":"ES256","typ":"at+jwt","kid":"l1"})";
std::string claims_text(const json::object& change = {}) {
  return json::serialize(changed(access_claims(kStartMs), change));
}

struct BadToken {
  const char* what;
  std::string token;
  const char* reason;
};

std::vector<BadToken> malformed_tokens() {
  const std::string claims = claims_text(), good = raw_token(kHeader, claims);
  const std::string signature = good.substr(good.rfind('.') + 1);
  const std::string body = good.substr(0, good.rfind('.'));
  const std::string middle = body.substr(body.find('.') + 1);
  const auto header = [&claims](const std::string& text) { return raw_token(text, claims); };
  const std::string deep(10'000, '['), closed(10'000, ']');
  std::vector<BadToken> rows = {
      {"alg none", to_base64url(R"({"alg":"none"})") + "." + middle + ".", "subject_malformed"},
      {"alg None", header(R"({"alg":"None","typ":"at+jwt"})"), "subject_malformed"},
      {"alg NONE", header(R"({"alg":"NONE","typ":"at+jwt"})"), "subject_malformed"},
      {"alg empty", header(R"({"alg":"","typ":"at+jwt"})"), "subject_malformed"},
      {"no alg", header(R"({"typ":"at+jwt","kid":"l1"})"), "subject_malformed"},
      {"alg a number", header(R"({"alg":256})"), "subject_malformed"},
      {"alg a list", header(R"({"alg":["ES256"]})"), "subject_malformed"},
      {"alg es256", header(R"({"alg":"es256","typ":"at+jwt","kid":"l1"})"), "subject_malformed"},
      {"alg ES256K", header(R"({"alg":"ES256K","typ":"at+jwt","kid":"l1"})"), "subject_malformed"},
      {"HS256 with the public key", header(R"({"alg":"HS256","typ":"at+jwt","kid":"l1"})"),
       "subject_malformed"},
      {"HS512", header(R"({"alg":"HS512","typ":"at+jwt","kid":"l1"})"), "subject_malformed"},
      {"alg of an encryption", header(R"({"alg":"dir","enc":"A128GCM"})"), "subject_malformed"},
      {"alg ES384", header(R"({"alg":"ES384","typ":"at+jwt","kid":"l1"})"), "subject_algorithm"},
      {"alg RS256", header(R"({"alg":"RS256","typ":"at+jwt","kid":"l1"})"), "subject_algorithm"},
      {"alg PS256", header(R"({"alg":"PS256","typ":"at+jwt","kid":"l1"})"), "subject_algorithm"},
      {"alg EdDSA", header(R"({"alg":"EdDSA","typ":"at+jwt","kid":"l1"})"), "subject_algorithm"},
      {"crit", header(R"({"alg":"ES256","typ":"at+jwt","kid":"l1","crit":["exp"],"exp":1})"),
       "subject_malformed"},
      {"empty crit", header(R"({"alg":"ES256","typ":"at+jwt","kid":"l1","crit":[]})"),
       "subject_malformed"},
      {"b64", header(R"({"alg":"ES256","typ":"at+jwt","kid":"l1","b64":false})"),
       "subject_malformed"},
      {"zip", header(R"({"alg":"ES256","typ":"at+jwt","kid":"l1","zip":"DEF"})"),
       "subject_malformed"},
      {"cty JWT", header(R"({"alg":"ES256","typ":"at+jwt","kid":"l1","cty":"JWT"})"),
       "subject_malformed"},
      {"alg twice", header(R"({"alg":"none","alg":"ES256","typ":"at+jwt","kid":"l1"})"),
       "subject_malformed"},
      {"alg twice, escaped", header(R"({"alg":"ES256","\u0061lg":"none","kid":"l1"})"),
       "subject_malformed"},
      {"kid twice", header(R"({"alg":"ES256","typ":"at+jwt","kid":"l1","kid":"x"})"),
       "subject_malformed"},
      {"header a list", header(R"(["ES256"])"), "subject_malformed"},
      {"header no JSON", header("ES256"), "subject_malformed"},
      {"header with a byte order mark", header("\xef\xbb\xbf" + kHeader), "subject_malformed"},
      {"header with bad UTF-8", header("{\"alg\":\"ES256\",\"x\":\"\xff\"}"), "subject_malformed"},
      {"header followed by more", header(kHeader + "{}"), "subject_malformed"},
      {"kid a number", header(R"({"alg":"ES256","typ":"at+jwt","kid":1})"), "subject_malformed"},
      {"typ a list", header(R"({"alg":"ES256","typ":["at+jwt"],"kid":"l1"})"), "subject_malformed"},
      {"claims a list", raw_token(kHeader, "[]"), "subject_malformed"},
      {"claims text", raw_token(kHeader, "\"x\""), "subject_malformed"},
      {"no claims", raw_token(kHeader, ""), "subject_malformed"},
      {"claims cut", raw_token(kHeader, claims.substr(0, claims.size() - 1)), "subject_malformed"},
      {"iss twice", raw_token(kHeader, R"({"iss":"x",)" + claims.substr(1)), "subject_malformed"},
      {"sub twice", raw_token(kHeader, R"({"sub":"root",)" + claims.substr(1)),
       "subject_malformed"},
      {"scope twice", raw_token(kHeader, R"({"scope":"admin",)" + claims.substr(1)),
       "subject_malformed"},
      {"a nested JWT as claims", raw_token(kHeader, good), "subject_malformed"},
      {"depth 10,000",
       raw_token(kHeader, "{\"a\":" + deep.substr(0, 5'000) + closed.substr(0, 5'000) + "}"),
       "subject_malformed"},
      {"depth 17", raw_token(kHeader, "{\"a\":" + deep.substr(0, 17) + closed.substr(0, 17) + "}"),
       "subject_malformed"},
      {"exp with a huge exponent", raw_token(kHeader, R"({"exp":1e400,)" + claims.substr(1)),
       "subject_malformed"},
      {"a number beyond 64 bits",
       raw_token(kHeader, R"({"n":99999999999999999999,)" + claims.substr(1)), "subject_malformed"},
      {"padding in the header", to_base64url(kHeader) + "=." + middle + "." + signature,
       "subject_malformed"},
      {"padding in the signature", body + "." + signature + "==", "subject_malformed"},
      {"plain base64", body + "." + signature.substr(1) + "+", "subject_malformed"},
      {"bits after the last byte", body + "." + signature.substr(0, 85) + "_", "subject_malformed"},
      {"no signature", body + ".", "subject_malformed"},
      {"half a signature", body + "." + signature.substr(0, 43) + "A", "subject_signature"},
      {"two signatures", body + "." + signature + signature.substr(0, 2), "subject_signature"},
      {"a signature of zeros", body + "." + std::string(86, 'A'), "subject_signature"},
      {"another's signature", raw_token(kHeader, claims, "mallory"), "subject_signature"},
      {"claims changed",
       to_base64url(kHeader) + "." + to_base64url(claims_text({{"sub", "root"}})) + "." + signature,
       "subject_signature"},
      {"header changed",
       to_base64url(R"({"alg":"ES256","typ":"at+jwt","kid":"l1" })") + "." + middle + "." +
           signature,
       "subject_signature"},
      {"no header", "." + middle + "." + signature, "subject_malformed"},
      {"dots alone", "..", "subject_malformed"},
      // One that is not of three parts is opaque: nothing is known of it.
      {"two parts", body, "subject_unknown"},
      {"four parts", good + ".x", "subject_unknown"},
      {"five parts", good + "..", "subject_unknown"},
      {"opaque", "SlAV32hkKG", "subject_unknown"},
  };
  // Keys that a header carries or names are not used.
  const std::string jwk = json::serialize(signing_key("mallory").public_jwk("l1").canonical());
  for (const std::string& member :
       {R"("jwk":)" + jwk, std::string(R"("jku":"https://evil.example/jwks")"),
        std::string(R"("x5u":"https://evil.example/c.pem")"), std::string(R"("x5c":["MIIB"])"),
        std::string(R"("x5t":"AAAA")")})
    rows.push_back({"a key in the header",
                    raw_token(R"({"alg":"ES256","typ":"at+jwt","kid":"l1",)" + member + "}", claims,
                              "mallory"),
                    "subject_signature"});
  return rows;
}

TEST_CASE("access tokens that are malformed") {
  World world;
  for (const BadToken& row : malformed_tokens())
    world.must_refuse(row.what, with(good(), "subject_token", row.token), row.reason);
  CHECK(world.refused == 65);
  for (const char* token : {"a b", "\xc3\xa9.a.b", "a\nb.c.d", "\x7f"})
    world.must_refuse("a character", with(good(), "subject_token", token), "subject_malformed");
}

TEST_CASE("access tokens with wrong claims") {
  World world;
  const auto refuse = [&world](const char* what, const json::object& change, const char* reason) {
    world.must_refuse(what, with(good(), "subject_token", access_token(kStartMs, change)), reason);
  };
  refuse("another issuer", {{"iss", "https://evil.example"}}, "subject_issuer");
  refuse("an issuer with a slash", {{"iss", kLogin + "/"}}, "subject_issuer");
  refuse("an issuer in capitals", {{"iss", "https://LOGIN.internal"}}, "subject_issuer");
  refuse("no issuer", {{"iss", nullptr}}, "subject_issuer");
  refuse("this service as issuer", {{"iss", kService}}, "subject_issuer");
  refuse("another audience", {{"aud", "https://other.internal"}}, "subject_audience");
  refuse("no audience", {{"aud", nullptr}}, "subject_audience");
  refuse("an empty audience", {{"aud", ""}}, "subject_audience");
  refuse("no audience in a list", {{"aud", json::array{}}}, "subject_malformed");
  refuse("other audiences", {{"aud", {"x", "y"}}}, "subject_audience");
  refuse("the audience as a part", {{"aud", kShop + "/x"}}, "subject_audience");
  refuse("the trust domain as audience", {{"aud", kDomain}}, "subject_audience");
  refuse("expired", {{"exp", kStartS - 30}}, "subject_expired");
  refuse("expired long ago", {{"exp", 1}}, "subject_expired");
  refuse("no expiry", {{"exp", nullptr}}, "subject_expired");
  refuse("from the future", {{"iat", kStartS + 31}}, "subject_time");
  refuse("not yet", {{"nbf", kStartS + 31}}, "subject_time");
  refuse("no sub", {{"sub", nullptr}}, "subject_claims");
  refuse("an empty sub", {{"sub", ""}}, "subject_claims");
  refuse("a long sub", {{"sub", std::string(257, 's')}}, "subject_claims");
  refuse("no scope", {{"scope", nullptr}}, "subject_scope");
  refuse("scope a number", {{"scope", 7}}, "subject_scope");
  refuse("scope an object", {{"scope", {{"a", 1}}}}, "subject_scope");
  refuse("scp with a space", {{"scope", nullptr}, {"scp", {"a b"}}}, "subject_scope");
  refuse("scp of numbers", {{"scope", nullptr}, {"scp", {1}}}, "subject_scope");
  refuse("scope of 300 names",
         {{"scope",
           [] {
             std::string out;
             for (int i = 0; i < 300; ++i) out += fmt::format("s{} ", i);
             return out;
           }()}},
         "subject_scope");
  for (const char* claim : {"sub", "iss"})
    refuse("a claim of another type", {{claim, 1}}, "subject_malformed");
  for (const char* claim : {"exp", "iat", "nbf"}) {
    refuse("a date as text", {{claim, "1800000000"}}, "subject_malformed");
    refuse("a date before 1970", {{claim, -1}}, "subject_malformed");
    refuse("a date after 9999", {{claim, 1e15}}, "subject_malformed");
  }
  CHECK(world.refused == 37);
}

TEST_CASE("one kind of token in the place of another") {
  World world;
  // typ of the header, and the type that the form names.
  struct Swap {
    const char *typ, *type, *reason;
  };
  const Swap swaps[] = {{"JWT", "access_token", "subject_typ"},
                        {"", "access_token", "subject_typ"},
                        {"txntoken+jwt", "access_token", "subject_typ"},
                        {"secevent+jwt", "access_token", "subject_typ"},
                        {"logout+jwt", "access_token", "subject_typ"},
                        {"dpop+jwt", "access_token", "subject_typ"},
                        {"at+jwt", "id_token", "subject_typ"},
                        {"txntoken+jwt", "id_token", "subject_typ"},
                        {"secevent+jwt", "id_token", "subject_typ"},
                        {"at+jwt", "jwt", "subject_typ"},
                        {"txntoken+jwt", "jwt", "subject_typ"},
                        {"secevent+jwt", "jwt", "subject_typ"},
                        {"at+jwt", "self_signed", "subject_signature"},
                        {"JWT", "self_signed", "subject_signature"},
                        {"at+jwt", "txn_token", "subject_key"},
                        {"txntoken+jwt", "txn_token", "subject_key"},
                        {"at+jwt", "unsigned_json", "subject_malformed"}};
  for (const Swap& swap : swaps) {
    json::object header = {{"typ", swap.typ}};
    if (std::string_view(swap.typ).empty()) header = {{"typ", nullptr}};
    world.must_refuse(fmt::format("{} as {}", swap.typ, swap.type),
                      form_of(swap.type, access_token(kStartMs, {}, header), "order:pay"),
                      swap.reason);
  }
  const Given txn = world.service.issue("a", good(), kStartMs).value();
  for (const auto& [type, reason] :
       {std::pair("access_token", "subject_issuer"), std::pair("id_token", "subject_issuer"),
        std::pair("jwt", "subject_issuer"), std::pair("self_signed", "subject_signature"),
        std::pair("unsigned_json", "subject_malformed")})
    world.must_refuse(type, form_of(type, txn.token, "order:pay"), reason);
  // What this service signs for another purpose, or another place.
  const json::object claims = txn.claims;
  const auto refuse = [&](const char* what, const json::object& change, const char* reason,
                          const json::object& header = {{"typ", "txntoken+jwt"}, {"kid", "t1"}}) {
    world.must_refuse(
        what, form_of("txn_token", sign(header, changed(claims, change), "txn"), "order:pay"),
        reason);
  };
  refuse("typ JWT", {}, "subject_typ", {{"typ", "JWT"}, {"kid", "t1"}});
  refuse("typ txn_token", {}, "subject_typ", {{"typ", "txn_token"}, {"kid", "t1"}});
  refuse("typ N_A", {}, "subject_typ", {{"typ", "N_A"}, {"kid", "t1"}});
  refuse("no kid", {}, "subject_key", {{"typ", "txntoken+jwt"}});
  refuse("an unknown kid", {}, "subject_key", {{"typ", "txntoken+jwt"}, {"kid", "t2"}});
  refuse("another issuer", {{"iss", kLogin}}, "subject_issuer");
  refuse("no issuer", {{"iss", nullptr}}, "subject_issuer");
  refuse("another domain", {{"aud", "other.internal"}}, "subject_audience");
  refuse("more than this domain", {{"aud", {kDomain, "other.internal"}}}, "subject_audience");
  refuse("this domain in a list", {{"aud", {kDomain}}}, "subject_audience");
  refuse("expired this second", {{"exp", kStartS}}, "subject_expired");
  refuse("no txn", {{"txn", nullptr}}, "subject_claims");
  refuse("no sub", {{"sub", nullptr}}, "subject_claims");
  refuse("no req_wl", {{"req_wl", nullptr}}, "subject_claims");
  refuse("req_wl as a list", {{"req_wl", {workload("a")}}}, "subject_claims");
  refuse("no scope", {{"scope", nullptr}}, "subject_claims");
  refuse("purp for scope", {{"scope", nullptr}, {"purp", "order:pay"}}, "subject_claims");
  refuse("no iat", {{"iat", nullptr}}, "subject_claims");
  refuse("first issued ten minutes ago",
         {{"tctx", {{"replaced", {{"times", 1}, {"first_iat", kStartS - 600}}}}}},
         "replacement_time");
  refuse("replaced three times", {{"tctx", {{"replaced", {{"times", 3}, {"first_iat", kStartS}}}}}},
         "replaced_too_often");
  world.must_refuse("delegated when it is replaced",
                    with(form_of("txn_token", txn.token, "order:pay"), "request_details",
                         json::serialize(delegate_to(workload("b"), kStartS + 60))),
                    "bad_delegate");
  CHECK(world.refused == 43);
}

TEST_CASE("self-signed tokens") {
  World world;
  int jti = 0;
  const auto refuse = [&](const char* what, const json::object& change, const char* reason) {
    world.must_refuse(
        what,
        form_of("self_signed", self_signed("a", std::to_string(++jti), kStartMs, change),
                "order:pay"),
        reason);
  };
  refuse("another workload as iss", {{"iss", workload("b")}}, "subject_issuer");
  refuse("no iss", {{"iss", nullptr}}, "subject_issuer");
  refuse("another service", {{"aud", "https://tts.other.internal"}}, "subject_audience");
  refuse("the trust domain as aud", {{"aud", kDomain}}, "subject_audience");
  refuse("no aud", {{"aud", nullptr}}, "subject_audience");
  refuse("more than one aud", {{"aud", {kService, "https://other.internal"}}}, "subject_audience");
  refuse("one aud in a list", {{"aud", {kService}}}, "subject_audience");
  refuse("no exp", {{"exp", nullptr}}, "subject_expired");
  refuse("no iat", {{"iat", nullptr}}, "subject_time");
  refuse("expired", {{"iat", kStartS - 80}, {"exp", kStartS - 30}}, "subject_expired");
  refuse("old", {{"iat", kStartS - 91}, {"exp", kStartS - 31}}, "subject_expired");
  refuse("from the future", {{"iat", kStartS + 31}, {"exp", kStartS + 61}}, "subject_time");
  refuse("61 seconds", {{"exp", kStartS + 61}}, "subject_time");
  refuse("a year", {{"exp", kStartS + 31'536'000}}, "subject_time");
  refuse("ends before it begins", {{"iat", kStartS + 20}, {"exp", kStartS + 10}}, "subject_time");
  refuse("not yet", {{"nbf", kStartS + 31}}, "subject_time");
  refuse("no jti", {{"jti", nullptr}}, "subject_claims");
  refuse("an empty jti", {{"jti", ""}}, "subject_claims");
  refuse("a long jti", {{"jti", std::string(257, 'j')}}, "subject_claims");
  refuse("jti a number", {{"jti", 7}}, "subject_malformed");
  refuse("no sub", {{"sub", nullptr}}, "subject_claims");
  const std::string own = self_signed("a", "x", kStartMs), others = self_signed("b", "x", kStartMs);
  world.must_refuse("one of another workload", form_of("self_signed", others, "order:pay"),
                    "subject_signature");
  world.must_refuse("by a workload whose key signs no JWT", Client{workload("a"), std::nullopt},
                    encode(form_of("self_signed", own, "order:pay")), "subject_key");
  world.must_refuse("as an access token", form_of("access_token", own, "order:pay"),
                    "subject_issuer");
  const json::object claims = {{"iss", workload("a")}, {"sub", "x"},          {"aud", kService},
                               {"iat", kStartS},       {"exp", kStartS + 30}, {"jti", "typ"}};
  for (const char* typ : {"at+jwt", "txntoken+jwt", "dpop+jwt", "secevent+jwt"})
    world.must_refuse(typ, form_of("self_signed", sign({{"typ", typ}}, claims, "a"), "order:pay"),
                      "subject_typ");
  world.must_refuse(
      "alg none",
      form_of("self_signed",
              to_base64url(R"({"alg":"none"})") + "." + to_base64url(json::serialize(claims)) + ".",
              "order:pay"),
      "subject_malformed");
  CHECK(world.refused == 29);
}

TEST_CASE("unsigned JSON") {
  World world;
  for (const char* text :
       {"{}", R"({"sub":1})", R"({"sub":""})", R"({"sub":null})", R"({"Sub":"x"})"})
    world.must_refuse(text, form_of("unsigned_json", text, "order:pay"), "subject_claims");
  for (const char* text :
       {"x", "[]", "1", "null", R"("ada")", R"({"sub":"a","sub":"b"})", R"({"sub":"a"} x)",
        R"({"sub":"a","d":[[[[[[[[[1]]]]]]]]]})", R"({"sub":"a","n":1e999})"})
    world.must_refuse(text, form_of("unsigned_json", text, "order:pay"), "subject_malformed");
  const json::object with_token = {{"sub", "ada"}, {"t", access_token(kStartMs)}};
  world.must_refuse("a token inside",
                    form_of("unsigned_json", json::serialize(with_token), "order:pay"),
                    "token_in_details");
  CHECK(world.refused == 15);
}

TEST_CASE("keys that are not here yet are a failure of this service, not of the client") {
  World world;
  world.service.forget_keys("login");
  const auto given = world.service.issue("a", good(), kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().reason() == "no_subject_keys");
  CHECK(given.error().status() == 503);
}

TEST_CASE("what only resembles tokens passes, however much of it there is") {
  // Fronts of headers without end, in all the text that a context can have.
  std::string fronts;
  while (fronts.size() < 8'000) fronts += "eyJ";
  World world;
  for (const std::string& text : {fronts + ".x.", std::string(8'000, '.')})
    CHECK(world.service.issue(
        "a", with(good(), "request_details", json::serialize(json::object{{"t", text}})),
        kStartMs));
}

}  // namespace
}  // namespace notp
