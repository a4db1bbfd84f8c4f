// Requests that a hostile or careless workload could send to a Txn-Token Service: each is refused
// for its own reason, and no refusal repeats a token. test_hostile_txn_tokens has the subject
// tokens.
#include <fmt/format.h>

#include "tests/hostile/hostile_txn.hpp"

namespace notp {
namespace {

using namespace hostile_txn;

// --- forms

TEST_CASE("forms") {
  World world;
  const std::string body = form_of(good());
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
    world.must_refuse(name, leave_out(good(), name), reason);
    world.must_refuse(name, with(good(), name, ""), reason);
    TokenRequest twice = good();
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
        std::string("a,b a,b"), std::string("eyJhbGciOiJub25lIn0.e30."), many, long_one})
    world.must_refuse(scope.substr(0, 20), with(good(), "scope", scope), "bad_scope");
  CHECK(world.refused == 16);
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
    TokenRequest opaque = request_of("access_token", "2YotnFZFEjr1zCsicMWpAA", "order:pay");
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
    return with(request_of("self_signed", self_signed("a", jti, kStartMs), "order:pay"),
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
      with(request_of("self_signed", self_signed("a", "s1", kStartMs, {{"sub", "ada"}}),
                      "order:pay"),
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
    world.must_refuse(identity, Client{identity, std::nullopt}, form_of(good()), "not_a_workload");
  CHECK(world.refused == 14);
}

}  // namespace
}  // namespace notp
