// Subject tokens that a hostile or careless workload could send to a Txn-Token Service.
#include <fmt/format.h>

#include "tests/hostile/hostile_txn.hpp"

namespace notp {
namespace {

using namespace hostile_txn;

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
  struct Mistake {
    const char *typ, *type, *reason;
  };
  const Mistake mistakes[] = {{"JWT", "access_token", "subject_typ"},
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
  for (const Mistake& one : mistakes) {
    json::object header = {{"typ", one.typ}};
    if (std::string_view(one.typ).empty()) header = {{"typ", nullptr}};
    world.must_refuse(fmt::format("{} as {}", one.typ, one.type),
                      request_of(one.type, access_token(kStartMs, {}, header), "order:pay"),
                      one.reason);
  }
  const Given txn = world.service.issue("a", good(), kStartMs).value();
  for (const auto& [type, reason] :
       {std::pair("access_token", "subject_issuer"), std::pair("id_token", "subject_issuer"),
        std::pair("jwt", "subject_issuer"), std::pair("self_signed", "subject_signature"),
        std::pair("unsigned_json", "subject_malformed")})
    world.must_refuse(type, request_of(type, txn.token, "order:pay"), reason);
  // What this service signs for another purpose, or another place.
  const json::object claims = txn.claims;
  const auto refuse = [&](const char* what, const json::object& change, const char* reason,
                          const json::object& header = {{"typ", "txntoken+jwt"}, {"kid", "t1"}}) {
    world.must_refuse(
        what, request_of("txn_token", sign(header, changed(claims, change), "txn"), "order:pay"),
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
                    with(request_of("txn_token", txn.token, "order:pay"), "request_details",
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
        request_of("self_signed", self_signed("a", std::to_string(++jti), kStartMs, change),
                   "order:pay"),
        reason);
  };
  refuse("another workload as iss", {{"iss", workload("b")}}, "subject_issuer");
  refuse("no iss", {{"iss", nullptr}}, "subject_issuer");
  refuse("another service", {{"aud", "https://tts.other.internal"}}, "subject_audience");
  refuse("the trust domain as aud", {{"aud", kDomain}}, "subject_audience");
  refuse("no aud", {{"aud", nullptr}}, "subject_audience");
  refuse("more than one aud", {{"aud", {kService, "https://other.internal"}}}, "subject_audience");
  refuse("one aud in a list twice", {{"aud", {kService, kService}}}, "subject_audience");
  refuse("another aud in a list", {{"aud", {kDomain}}}, "subject_audience");
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
  world.must_refuse("one of another workload", request_of("self_signed", others, "order:pay"),
                    "subject_signature");
  world.must_refuse("by a workload whose key signs no JWT", Client{workload("a"), std::nullopt},
                    form_of(request_of("self_signed", own, "order:pay")), "subject_key");
  world.must_refuse("as an access token", request_of("access_token", own, "order:pay"),
                    "subject_issuer");
  const json::object claims = {{"iss", workload("a")}, {"sub", "x"},          {"aud", kService},
                               {"iat", kStartS},       {"exp", kStartS + 30}, {"jti", "typ"}};
  for (const char* typ : {"at+jwt", "txntoken+jwt", "dpop+jwt", "secevent+jwt"})
    world.must_refuse(typ,
                      request_of("self_signed", sign({{"typ", typ}}, claims, "a"), "order:pay"),
                      "subject_typ");
  world.must_refuse("alg none",
                    request_of("self_signed",
                               to_base64url(R"({"alg":"none"})") + "." +
                                   to_base64url(json::serialize(claims)) + ".",
                               "order:pay"),
                    "subject_malformed");
  CHECK(world.refused == 30);
}

TEST_CASE("unsigned JSON") {
  World world;
  for (const char* text :
       {"{}", R"({"sub":1})", R"({"sub":""})", R"({"sub":null})", R"({"Sub":"x"})"})
    world.must_refuse(text, request_of("unsigned_json", text, "order:pay"), "subject_claims");
  for (const char* text :
       {"x", "[]", "1", "null", R"("ada")", R"({"sub":"a","sub":"b"})", R"({"sub":"a"} x)",
        R"({"sub":"a","d":[[[[[[[[[1]]]]]]]]]})", R"({"sub":"a","n":1e999})"})
    world.must_refuse(text, request_of("unsigned_json", text, "order:pay"), "subject_malformed");
  const json::object with_token = {{"sub", "ada"}, {"t", access_token(kStartMs)}};
  world.must_refuse("a token inside",
                    request_of("unsigned_json", json::serialize(with_token), "order:pay"),
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
