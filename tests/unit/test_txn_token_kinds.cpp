// Access tokens and ID tokens of one issuer, where typ does not tell them apart.
#include <doctest/doctest.h>

#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

struct World {
  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
};

// Keycloak's tokens, cut to what tells them apart. Members of `change` that are null are removed.
std::string keycloak_token(json::object claims, const json::object& change,
                           const json::value& typ) {
  for (const json::key_value_pair& member : change) claims[member.key()] = member.value();
  return access_token(kStartMs, claims, {{"typ", typ}});
}

TEST_CASE("an issuer without at+jwt has its access tokens told from ID tokens by claims") {
  SubjectRules rules = subject_rules();
  rules.sources[0].access_typ = {"JWT"};
  World world;
  std::optional<Service> service(std::in_place, *world.grants, rules);
  const auto reason = [&](std::string_view type, const json::object& change,
                          const json::value& typ = "JWT") {
    const auto given = service->issue(
        "a",
        request_of(type, keycloak_token({{"typ", "Bearer"}, {"azp", "shop"}}, change, typ),
                   "order:pay"),
        kStartMs);
    return given ? std::string("taken") : std::string(given.error().reason());
  };
  CHECK(reason("access_token", {}) == "taken");
  CHECK(reason("access_token", {}, nullptr) == "taken");
  CHECK(reason("access_token", {}, "at+jwt") == "subject_typ");
  CHECK(reason("access_token", {{"typ", nullptr}}) == "taken");
  CHECK(reason("access_token", {{"typ", "DPoP"}, {"token_use", "access"}}) == "taken");
  CHECK(reason("access_token", {{"scope", nullptr}, {"scp", "orders"}}) == "taken");
  // What else Keycloak signs with the same key, for the same audience.
  for (const char* typ : {"ID", "Refresh", "Offline", "Logout", "bearer", ""})
    CHECK_MESSAGE(reason("access_token", json::object{{"typ", typ}}) == "subject_typ", typ);
  CHECK(reason("access_token", {{"typ", 1}}) == "subject_typ");
  CHECK(reason("access_token", {{"token_use", "id"}}) == "subject_typ");
  for (const char* claim : {"nonce", "at_hash", "c_hash", "s_hash", "events"})
    CHECK_MESSAGE(reason("access_token", json::object{{claim, "x"}}) == "subject_typ", claim);
  // An ID token that says nothing of itself: only an access token has a scope.
  const json::object plain = {{"typ", nullptr}, {"scope", nullptr}};
  CHECK(reason("access_token", plain) == "subject_scope");
  service->lane = [](const LaneQuestion&) {
    return LaneFinding{LaneFinding::State::kGood, json::object{{"scope", "orders"}}};
  };
  CHECK(reason("access_token", plain) == "subject_scope");  // not even by the lane's
  service->lane = nullptr;
  // An access token in the place of an ID token would be bounded by no scope.
  CHECK(reason("id_token", {}) == "subject_typ");
  CHECK(reason("id_token", {{"typ", nullptr}}) == "subject_typ");
  CHECK(reason("id_token", {{"typ", "Bearer"}, {"scope", nullptr}}) == "subject_typ");
  CHECK(reason("id_token", {{"typ", nullptr}, {"scope", nullptr}, {"scp", "x"}}) == "subject_typ");
  CHECK(reason("id_token", {{"typ", "ID"}, {"scope", nullptr}}) == "taken");
  CHECK(reason("id_token", {{"typ", nullptr}, {"scope", nullptr}, {"nonce", "n"}}) == "taken");
  CHECK(reason("jwt", plain) == "subject_scope");
  // A logout token (Back-Channel Logout): it is for nobody to act with.
  const json::object logout = {
      {"typ", nullptr}, {"scope", nullptr}, {"sid", "s"}, {"events", json::object{}}};
  CHECK(reason("id_token", logout) == "subject_typ");
  CHECK(reason("jwt", logout) == "subject_typ");
  CHECK(reason("jwt", {{"events", json::object{}}}) == "subject_typ");

  // Both: a token that says at+jwt is judged by that.
  rules.sources[0].access_typ = {"at+jwt", "JWT"};
  service.emplace(*world.grants, rules);
  CHECK(reason("access_token", {}) == "taken");
  CHECK(reason("access_token", {{"nonce", "n"}}, "application/at+jwt") == "taken");
  CHECK(reason("access_token", {{"nonce", "n"}}, "jwt") == "subject_typ");
  CHECK(reason("access_token", {}, "logout+jwt") == "subject_typ");
}

TEST_CASE("each audience of an issuer has its own types") {
  SubjectRules rules = subject_rules();
  rules.sources[0].types = {SubjectType::kAccessToken};
  rules.sources[0].access_typ = {"JWT"};
  rules.sources.push_back(rules.sources[0]);
  rules.sources[1].audience = "shop-app";
  rules.sources[1].types = {SubjectType::kIdToken};
  World world;
  Service service(*world.grants, rules);
  const auto reason = [&](std::string_view type, std::string_view audience,
                          const json::object& change) {
    const auto given = service.issue(
        "a", request_of(type, keycloak_token({{"aud", audience}}, change, "JWT"), "order:pay"),
        kStartMs);
    return given ? std::string("taken") : std::string(given.error().reason());
  };
  CHECK(reason("access_token", kShop, {}) == "taken");
  CHECK(reason("access_token", "shop-app", {}) == "subject_audience");
  CHECK(reason("id_token", "shop-app", {{"scope", nullptr}}) == "taken");
  CHECK(reason("id_token", kShop, {{"scope", nullptr}}) == "subject_audience");
}

}  // namespace
}  // namespace notp
