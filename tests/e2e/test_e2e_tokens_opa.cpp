// The token lane at a real OPA beside an agent: the same policy, the same answers.
#include <doctest/doctest.h>

#include "tests/support/process/curl.hpp"
#include "tests/support/process/lane_opa.hpp"
#include "tests/support/process/lane_site.hpp"

namespace notp {
namespace {

struct Scene : LaneSite {
  using LaneSite::LaneSite;
  LaneOpa opa{stack};

  Agent& start() {
    start_registry();
    Agent& agent =
        start_agent({.name = "edge-1", .ledgers = {}, .pdp = "opa", .opa_port = opa.port()});
    opa.start(agent);
    REQUIRE(stack.becomes_active(agent, kInvoices, 1));
    REQUIRE(wait_until([&] { return lane_state(opa) == "live"; }));
    return agent;
  }
  bool becomes(const std::string& token, bool lets) const {
    return wait_until([&] { return lets_in(opa, token) == lets; });
  }
};

TEST_CASE("tokens come and go at an OPA, and through the agent that it belongs to") {
  Scene scene;
  const Agent& agent = scene.start();
  const int64_t now_s = seconds_now();
  const std::string jwt = scene.jwt({.iat_s = now_s - 10});
  const std::string other = scene.jwt({.sub = "bob", .iat_s = now_s - 10});
  CHECK(lets_in(scene.opa, jwt));
  CHECK_FALSE(lets_in(scene.opa, "reference-1"));

  scene.add("reference-1");
  scene.send({LaneSite::add_event("brief", {.sub = "bob", .exp_s = seconds_now() + 3})});
  REQUIRE(scene.becomes("reference-1", true));
  REQUIRE(scene.becomes("brief", true));
  CHECK(lets_in(agent, "reference-1"));
  REQUIRE(scene.becomes("brief", false));

  scene.del("reference-1");
  REQUIRE(scene.becomes("reference-1", false));
  scene.add("reference-2", {.iat_s = now_s - 10});
  REQUIRE(scene.becomes("reference-2", true));
  scene.revoke_subject("ana", now_s);
  REQUIRE(scene.becomes("reference-2", false));
  CHECK_FALSE(lets_in(scene.opa, jwt));
  CHECK(lets_in(scene.opa, other));
  CHECK(lets_in(scene.opa, scene.jwt({.iat_s = now_s + 1})));
  scene.del(other);
  REQUIRE(scene.becomes(other, false));
}

TEST_CASE("an OPA that was started again has its tokens again, also after its agent") {
  Scene scene;
  Agent& agent = scene.start();
  const int64_t now_s = seconds_now();
  const std::string revoked = scene.jwt({.iat_s = now_s - 10});
  const std::string good = scene.jwt({.sub = "bob", .iat_s = now_s - 10});
  scene.add("reference-1", {.sub = "bob"});
  scene.add("reference-2", {.sub = "bob"});
  scene.del("reference-2");
  scene.revoke_subject("ana", now_s);
  REQUIRE(scene.becomes(revoked, false));
  REQUIRE(scene.becomes("reference-1", true));

  // Nobody is let in before the tokens are there.
  scene.opa.kill();
  scene.opa.start(agent);
  REQUIRE(wait_until([&] {
    CHECK_FALSE(lets_in(scene.opa, revoked));
    CHECK_FALSE(lets_in(scene.opa, "reference-2"));
    return lets_in(scene.opa, "reference-1");
  }));
  CHECK(lets_in(scene.opa, good));

  scene.stack.kill_registry();
  agent.kill();
  scene.opa.kill();
  agent.start();
  scene.opa.start(agent);
  REQUIRE(wait_until([&] {
    CHECK_FALSE(lets_in(scene.opa, revoked));
    return lets_in(scene.opa, good);
  }));
  CHECK_FALSE(lets_in(scene.opa, "reference-1"));
}

TEST_CASE("an OPA that lets anybody write its tokens lets nobody in, and the agent says why") {
  Scene scene;
  scene.start_registry();
  const Agent& agent = scene.start_agent(
      {.name = "edge-1", .ledgers = {}, .pdp = "opa", .opa_port = scene.opa.port()});
  scene.opa.start(agent, /*is_protected=*/false);
  REQUIRE(scene.stack.becomes_active(agent, kInvoices, 1));
  REQUIRE(wait_until([&] { return text_at(agent.status(), "lane.opa.state") == "unprotected"; }));
  CHECK(text_at(agent.status(), "lane.opa.message").contains("--authorization=basic"));
  CHECK(wait_until([&] { return agent.count_events("alarm") > 0; }));
  const std::string id = feed::token_id("reference-1").hex();
  const json::object lane{{"complete", true}, {"serves", true}, {"ages", false}, {"state", "live"},
                          {"name", "x"},      {"mode", "push"}, {"revision", 1}, {"hard_ms", 1},
                          {"live_ms", 1},     {"now_ms", 1}};
  json::object record = TestToken{}.claims();
  const json::object forged{{"lane", lane},
                            {"live", json::object{{id, record}}},
                            {"deleted", json::object()},
                            {"marks", json::object()},
                            {"lists", json::object()}};
  const std::string tokens = scene.opa.url() + "/v1/data/tokens";
  CHECK(curl({"-X", "PUT", "--json", json::serialize(forged), tokens}).status == 204);
  CHECK_FALSE(lets_in(scene.opa, "reference-1"));
  CHECK_FALSE(lets_in(scene.opa, scene.jwt()));
  CHECK_FALSE(lets_in(agent, "reference-1"));
  // Run as it should be, it gets the lane.
  scene.opa.kill();
  scene.opa.start(agent);
  scene.add("reference-1");
  REQUIRE(scene.becomes("reference-1", true));
  CHECK(text_at(agent.status(), "lane.opa.state") == "ready");
  CHECK(text_at(agent.status(), "lane.opa.message").empty());
}

// Whoever writes data.tokens lets anybody in.
TEST_CASE("only the agent writes and reads data.tokens of its OPA") {
  Scene scene;
  scene.start();
  scene.add("reference-1");
  REQUIRE(scene.becomes("reference-1", true));
  const std::string tokens = scene.opa.url() + "/v1/data/tokens";
  CHECK(curl({tokens}).status == 401);
  CHECK(curl({"-X", "PUT", "--json", "{}", tokens}).status == 401);
  CHECK(curl({"-X", "PATCH", "-H", "Content-Type: application/json-patch+json", "-d",
              R"([{"op": "remove", "path": "/"}])", tokens})
            .status == 401);
  CHECK(curl({"--json", "{}", tokens}).status == 401);
  CHECK(curl({"--json", R"({"query": "data.tokens = x"})", scene.opa.url() + "/v1/query"}).status ==
        401);
  CHECK(curl({"-X", "PUT", "-d", "package system.authz\n\nallow := true\n",
              scene.opa.url() + "/v1/policies/open"})
            .status == 401);
  CHECK(lets_in(scene.opa, "reference-1"));
}

}  // namespace
}  // namespace notp
