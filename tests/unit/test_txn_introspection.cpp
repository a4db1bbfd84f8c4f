// What issuers say of subject tokens when they are asked (RFC 7662), and what follows.
#include <doctest/doctest.h>

#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

const std::string kOpaque = "2YotnFZFEjr1zCsicMWpAA";

json::object living() {
  return {{"active", true}, {"token_type", "Bearer"}, {"iss", kLogin},  {"aud", {kShop, "other"}},
          {"sub", "ada"},   {"exp", kStartS + 600},   {"iat", kStartS}, {"scope", "orders trade"}};
}

// The issuer kLogin is asked, and opaque tokens are its own.
struct World {
  World() {
    service.introspect = [this](const IntrospectionQuestion& question) {
      questions.push_back(question);
      return read_introspection(status, body);
    };
  }
  std::string asked(std::string_view type, const std::string& token) {
    const auto given = service.issue("a", request_of(type, token, "order:pay"), kStartMs);
    if (given) sub = given->claims.at("sub").as_string();
    return given ? "taken" : std::string(given.error().reason());
  }
  std::string opaque(const json::object& change = {}) {
    body = json::serialize(changed(living(), change));
    return asked("access_token", kOpaque);
  }
  std::string jwt(const json::object& change = {}) {
    body = json::serialize(changed(living(), change));
    return asked("access_token", access_token(kStartMs));
  }

  static SubjectRules rules() {
    SubjectRules out = subject_rules();
    out.sources[0].is_introspected = out.sources[0].has_opaque = true;
    return out;
  }

  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
  Service service{*grants, rules()};
  unsigned status = 200;
  std::string body, sub;
  std::vector<IntrospectionQuestion> questions;
};

TEST_CASE("an access token is verified, and its issuer is asked") {
  World world;
  CHECK(world.jwt() == "taken");
  REQUIRE(world.questions.size() == 1);
  CHECK(world.questions[0].source == 0);
  CHECK_FALSE(world.questions[0].is_unknown);
  CHECK(world.jwt({{"active", false}}) == "subject_inactive");
  // Under another name it is the same token.
  CHECK(world.asked("jwt", access_token(kStartMs, {}, {{"typ", nullptr}})) == "subject_inactive");
  // What the key does not vouch for is no question.
  world.questions.clear();
  CHECK(world.asked("access_token", access_token(kStartMs, {{"exp", kStartS - 31}})) ==
        "subject_expired");
  CHECK(world.asked("access_token", sign({{"typ", "at+jwt"}, {"kid", "l1"}},
                                         access_claims(kStartMs), "other")) == "subject_signature");
  CHECK(world.questions.empty());
  // ID tokens and what clients sign are not introspected.
  CHECK(world.asked("id_token", id_token(kStartMs)) == "taken");
  CHECK(world.asked("self_signed", self_signed("a", "j", kStartMs)) == "taken");
  CHECK(world.questions.empty());
  // The members that RFC 7662 leaves open may be missing: the token has them.
  CHECK(world.jwt({{"iss", nullptr},
                   {"aud", nullptr},
                   {"sub", nullptr},
                   {"exp", nullptr},
                   {"iat", nullptr},
                   {"scope", nullptr},
                   {"token_type", nullptr}}) == "taken");
}

TEST_CASE("a token whose issuer contradicts it is refused") {
  World world;
  const std::vector<std::pair<json::object, const char*>> rows = {
      {{{"iss", "https://other.internal"}}, "subject_issuer"},
      {{{"iss", 1}}, "subject_issuer"},
      {{{"sub", 7}}, "subject_claims"},
      {{{"aud", "other"}}, "subject_audience"},
      {{{"aud", json::array{}}}, "subject_audience"},
      {{{"exp", kStartS - 30}}, "subject_expired"},
      {{{"exp", "soon"}}, "introspection_unavailable"},
      {{{"iat", kStartS + 31}}, "subject_time"},
      {{{"nbf", kStartS + 31}}, "subject_time"},
      {{{"token_type", "N_A"}}, "subject_typ"},
      {{{"token_type", "refresh_token"}}, "subject_typ"},
      {{{"token_type", 1}}, "subject_typ"},
      {{{"typ", "Refresh"}}, "subject_typ"},
      {{{"token_use", "refresh_token"}}, "subject_typ"},
      {{{"token_use", "id"}}, "subject_typ"},
  };
  for (const auto& [change, reason] : rows) {
    CAPTURE(json::serialize(change));
    CHECK(world.jwt(change) == reason);
    CHECK(world.opaque(change) == reason);
  }
  CHECK(world.jwt({{"sub", "eve"}}) == "subject_claims");
  for (const json::object& change : {json::object{{"token_type", "bearer"}},
                                     json::object{{"token_type", "DPoP"}, {"typ", "DPoP"}},
                                     json::object{{"token_use", "access_token"}}}) {
    CHECK(world.jwt(change) == "taken");
    CHECK(world.opaque(change) == "taken");
  }
}

TEST_CASE("an opaque token is what its issuer says of it") {
  World world;
  world.service.policy = [&](const json::object& input) {
    const json::object& claims = input.at("subject").at("claims").as_object();
    CHECK(claims.at("iss") == json::value(kLogin));
    CHECK_FALSE(claims.contains("active"));
    CHECK_FALSE(claims.contains("note"));
    CHECK(input.at("subject").at("record").at("scope") == "orders trade");
    return generous()(input);
  };
  CHECK(world.opaque({{"iss", nullptr}, {"note", "left out"}}) == "taken");
  CHECK(world.sub == "ada");
  REQUIRE(world.questions.size() == 1);
  CHECK(world.questions[0].is_unknown);
  CHECK(world.questions[0].token_id == "6c96130f130ab0d6d158397e24d2bcc1");
  // Nothing else says it.
  CHECK(world.opaque({{"sub", nullptr}}) == "subject_claims");
  CHECK(world.opaque({{"sub", std::string(257, 's')}}) == "subject_claims");
  CHECK(world.opaque({{"aud", nullptr}}) == "subject_audience");
  CHECK(world.opaque({{"exp", nullptr}}) == "subject_expired");
  CHECK(world.opaque({{"scope", nullptr}}) == "subject_scope");
  // A refresh token, of which oidc-provider says no type.
  CHECK(world.opaque({{"token_type", nullptr}}) == "subject_typ");
  CHECK(world.opaque({{"active", false}}) == "subject_inactive");
  // One of no issuer that may see it.
  SubjectRules rules = World::rules();
  rules.sources[0].has_opaque = false;
  Service service(*world.grants, rules);
  service.introspect = world.service.introspect;
  world.questions.clear();
  const auto given = service.issue("a", request_of("access_token", kOpaque, "order:pay"), kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().reason() == "subject_unknown");
  CHECK(world.questions.empty());
}

TEST_CASE("the scope is what the token and its issuer both have") {
  World world;
  std::vector<std::string> seen;
  world.service.policy = [&](const json::object& input) {
    json::object answer = generous_answer(input);
    answer["covers"] = {{{"scope", "order:pay"}, {"by", "trade"}}};
    return Result<std::optional<json::value>>(json::value(answer));
  };
  CHECK(world.jwt() == "taken");
  CHECK(world.jwt({{"scope", "trade"}}) == "taken");
  CHECK(world.jwt({{"scope", nullptr}}) == "taken");
  CHECK(world.jwt({{"scope", "orders"}}) == "policy_broken");
  CHECK(world.jwt({{"scope", ""}}) == "policy_broken");
  for (const json::object& change :
       {json::object{{"scope", nullptr}, {"scp", json::array{"orders"}}},
        json::object{{"scp", "orders"}}}) {
    CHECK(world.jwt(change) == "policy_broken");
    CHECK(world.opaque(change) == "policy_broken");
  }
  CHECK(world.opaque({{"scope", nullptr}, {"scp", json::array{"trade"}}}) == "taken");
  // One that cannot be read may be narrower.
  for (const char* name : {"scope", "scp"})
    for (const json::value& scope :
         {json::value(1), json::value(json::object{}), json::value({"orders", 1}),
          json::value(json::array{"orders trade"}), json::value(std::string(7'000, 's'))}) {
      CHECK(world.jwt({{name, scope}}) == "introspection_unavailable");
      CHECK(world.opaque({{name, scope}}) == "introspection_unavailable");
    }
  // Not more than the token has.
  world.body = json::serialize(living());
  CHECK(world.asked("access_token", access_token(kStartMs, {{"scope", "orders"}})) ==
        "policy_broken");
  // A token without one has its issuer's.
  CHECK(world.asked("access_token", access_token(kStartMs, {{"scope", nullptr}})) == "taken");
}

TEST_CASE("the lane comes first, and again when it is known whose an opaque token is") {
  World world;
  std::vector<LaneQuestion> asked;
  LaneFinding finding{LaneFinding::State::kGood, std::nullopt};
  world.service.lane = [&](const LaneQuestion& question) {
    asked.push_back(question);
    return finding;
  };
  CHECK(world.opaque() == "taken");
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].claims.empty());
  CHECK(asked[1].claims.at("sub") == "ada");
  CHECK(asked[1].token_id == asked[0].token_id);
  // Its subject was revoked.
  world.service.lane = [&](const LaneQuestion& question) {
    return question.claims.empty() ? finding
                                   : LaneFinding{LaneFinding::State::kRevoked, std::nullopt};
  };
  CHECK(world.opaque() == "subject_revoked");
  // What the lane has revoked is not asked about.
  world.questions.clear();
  CHECK(world.jwt() == "subject_revoked");
  CHECK(world.questions.empty());
  // A token that the lane knows is its issuer's, who is asked, too.
  finding.record = changed(living(), {{"active", nullptr}, {"token_type", nullptr}});
  world.service.lane = [&](const LaneQuestion&) { return finding; };
  CHECK(world.opaque() == "taken");
  REQUIRE(world.questions.size() == 1);
  CHECK_FALSE(world.questions[0].is_unknown);
  CHECK(world.opaque({{"sub", "eve"}}) == "subject_claims");
  CHECK(world.opaque({{"active", false}}) == "subject_inactive");
}

TEST_CASE("an answer that says nothing is no token, and asking cannot be forgotten") {
  World world;
  const auto fails = [&](unsigned status, std::string body) {
    world.status = status;
    world.body = std::move(body);
    const auto given = world.service.issue("a", access_form(kStartMs), kStartMs);
    REQUIRE_FALSE(given);
    CHECK(given.error().reason() == "introspection_unavailable");
    CHECK(given.error().status() == 503);
  };
  const std::string good = json::serialize(living());
  for (const unsigned status : {201U, 204U, 302U, 400U, 401U, 403U, 404U, 429U, 500U, 503U})
    fails(status, good);
  for (const char* body :
       {"", "true", "[]", "{}", R"({"active": 1})", R"({"active": "true"})", R"({"active": null})",
        R"({"active": true, "active": false})", "<html>", R"({"active": true)"})
    fails(200, body);
  fails(200, R"({"active": true, "x": )" + std::string(20, '[') + std::string(20, ']') + "}");
  fails(200, json::serialize(changed(living(), {{"cnf", std::string(9'000, 'x')}})));
  world.status = 200;
  CHECK(world.jwt() == "taken");
  // A token in the answer reaches no policy.
  world.service.policy = [](const json::object& input) {
    CHECK_FALSE(holds_token(input));
    return generous()(input);
  };
  CHECK(world.jwt({{"cnf", access_token(kStartMs)}}) == "taken");
  // Nor is one the reason that something is not checked.
  for (const char* name :
       {"iss", "sub", "aud", "scope", "scp", "exp", "iat", "nbf", "token_type", "typ", "token_use"})
    CHECK_MESSAGE(world.jwt({{name, access_token(kStartMs)}}) == "introspection_unavailable", name);
  world.service.introspect = nullptr;
  CHECK(world.jwt() == "internal");
  CHECK(world.asked("access_token", kOpaque) == "internal");
}

}  // namespace
}  // namespace notp
