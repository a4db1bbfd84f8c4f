// Answers of introspection endpoints, plain and signed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/jose/signing_key.hpp"
#include "notp-server/lane_inputs/introspection.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr int64_t kNowS = kNow / 1'000;
const std::string kIssuer = "https://id.example";

using Answer = Result<std::optional<json::object>>;

IntrospectionRules rules() { return {.issuer = kIssuer, .now_ms = kNow}; }
http::Response response(std::string body, unsigned status = 200) {
  http::Response out;
  out.status = status;
  out.body = std::move(body);
  return out;
}
Answer read(const json::object& answer) {
  return read_introspection(response(json::serialize(answer)), rules());
}
std::string rule_for(const Answer& answer) {
  return answer ? "taken" : std::string(rule_of(answer.error()));
}

TEST_CASE("a living token's attributes are those that a lane may carry") {
  const auto lives = read({{"active", true},
                           {"iss", kIssuer},
                           {"sub", "alice"},
                           {"client_id", "app"},
                           {"username", "alice@example"},
                           {"jti", "the-token-itself"},
                           {"exp", kNowS + 60},
                           {"cnf", json::object{{"jkt", "x"}}}});
  REQUIRE(lives);
  REQUIRE(*lives);
  CHECK(**lives == json::object{{"iss", kIssuer},
                                {"sub", "alice"},
                                {"client_id", "app"},
                                {"exp", kNowS + 60},
                                {"cnf", json::object{{"jkt", "x"}}}});
  // Without iss it is the configured one: marks of its subjects have to find the token.
  CHECK(read({{"active", true}}).value().value() == json::object{{"iss", kIssuer}});
}

TEST_CASE("a token that is not active, or over, does not live") {
  CHECK_FALSE(read({{"active", false}}).value());
  CHECK_FALSE(read({{"active", false}, {"sub", "alice"}}).value());
  CHECK_FALSE(read({{"active", true}, {"exp", kNowS}}).value());
  CHECK(read({{"active", true}, {"exp", kNowS + 1}}).value());
}

TEST_CASE("an answer that says neither is no reason to delete") {
  CHECK(rule_for(read({})) == "introspection.no-active");
  CHECK(rule_for(read({{"active", "true"}})) == "introspection.no-active");
  CHECK(rule_for(read({{"active", true}, {"iss", "https://other.example"}})) ==
        "introspection.iss");
  CHECK(rule_for(read({{"active", true}, {"exp", "soon"}})) == "introspection.exp");
  CHECK(rule_for(read({{"active", true}, {"nbf", kNowS + 3600}})) == "introspection.inactive-yet");
  const auto of = [](const http::Response& answer) { return read_introspection(answer, rules()); };
  CHECK(rule_for(of(response("[]"))) == "introspection.not-an-object");
  CHECK(rule_for(of(response("<html>"))) == "introspection.not-json");
  CHECK(rule_for(of(response(R"({"active":false,"active":true})"))) == "introspection.not-json");
  // What oidc-provider says of a JWT; RFC 7009 §2.2.1 has the code.
  CHECK(rule_for(of(response(R"({"error":"unsupported_token_type"})", 400))) ==
        "introspection.unsupported-token");
  CHECK(rule_for(of(response(R"({"error":"invalid_request"})", 400))) == "introspection.status");
  CHECK(rule_for(of(response(R"({"active":false})", 404))) == "introspection.status");
  for (const auto& [status, code] : {std::pair(401, ErrorCode::kDenied),
                                     {403, ErrorCode::kDenied},
                                     {429, ErrorCode::kUnavailable},
                                     {500, ErrorCode::kUnavailable},
                                     {503, ErrorCode::kUnavailable}}) {
    const auto answer = of(response(R"({"active":false})", status));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == code);
    CHECK(rule_of(answer.error()).empty());
  }
}

TEST_CASE("a signed answer is one of the issuer, to this client, of now") {
  const auto key = jose::SigningKey::generate(jose::Algorithm::kEs256).value();
  const auto stranger = jose::SigningKey::generate(jose::Algorithm::kEs256).value();
  IntrospectionRules wanted = rules();
  wanted.signed_for = "registry";
  wanted.keys = std::make_shared<const jose::KeySet>(
      jose::KeySet::parse(json::object{{"keys", json::array{key.public_jwk("1").canonical()}}})
          .value());
  const json::object good{{"iss", kIssuer},
                          {"aud", "registry"},
                          {"iat", kNowS},
                          {"token_introspection", json::object{{"active", true}, {"sub", "bob"}}}};
  const auto outcome = [&](json::object claims, const jose::SigningKey& by,
                           std::string_view typ = "token-introspection+jwt") {
    return read_introspection(
        response(jose::sign_token({{"kid", "1"}, {"typ", typ}}, claims, by).value()), wanted);
  };
  const auto changed = [&](const char* name, json::value value) {
    json::object claims = good;
    claims[name] = std::move(value);
    return rule_for(outcome(claims, key));
  };
  CHECK(outcome(good, key).value().value().at("sub") == "bob");
  CHECK(rule_for(outcome(good, stranger)) == "introspection.signature");
  // A token of the same issuer, such as an ID token with this claim, is not an answer.
  CHECK(rule_for(outcome(good, key, "JWT")) == "introspection.typ");
  CHECK(changed("aud", "another") == "introspection.aud");
  CHECK(changed("iss", "https://other.example") == "introspection.iss");
  CHECK(changed("iat", kNowS - 600) == "introspection.age");
  CHECK(changed("token_introspection", "active") == "introspection.not-an-object");
  // Plain JSON where a signed answer is wanted.
  CHECK(rule_for(read_introspection(response(R"({"active":true})"), wanted)) ==
        "introspection.not-a-token");
  wanted.keys = nullptr;
  CHECK(outcome(good, key).error().code == ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace notp::lane_inputs
