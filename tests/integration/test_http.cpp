// The agent's routes over real sockets.
#include <doctest/doctest.h>

#include <regex>

#include "common/json/json.hpp"
#include "notp-client/api/api.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

// The answer without its varying parts, and without the trailing newline.
Bytes said(const http::Response& response) {
  static const std::regex kId(R"re("decision_id": ?"[0-9a-f-]{36}",?\s*)re");
  Bytes text = std::regex_replace(response.body, kId, "");
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// The agent's routes with an embedded PDP.
struct AgentHost {
  AgentHost() {
    decisions.set_rules({.default_path = {"app", "allow"}, .authzen_path = {"authzen", "decide"}});
    api = std::make_unique<api::Api>(
        api::Access(api::AccessRules{}),
        api::ApiParts{.decisions = decisions,
                      .engine_version = {},
                      .health = {.health =
                                     [this] {
                                       return api::Health{
                                           readiness.load(), true, {}, {{"ledgers", 1}}};
                                     },
                                 .metrics = metrics,
                                 .refresh_metrics = {}},
                      .status = {.status = [] { return json::object{{"agent", "test"}}; },
                                 .policies = [] { return api::PolicySource(); }},
                      .opa = {}},
        pool);
    host.emplace(api->handler());
  }
  ~AgentHost() {
    host.reset();
    pool.join();
  }
  void activate(const TestComposition& release) {
    // Nothing else runs on the agent's executor here, so this thread may run it.
    pdp.start(reports.sink());
    pdp.activate(release.active_set, release.load);
    agent.restart();
    const auto work = asio::make_work_guard(agent);
    agent.run_one();
    REQUIRE_FALSE(reports.next()->rejected);
  }
  http::Response post(const std::string& url, const Bytes& body, http::Headers headers = {}) {
    headers.emplace_back("Content-Type", "application/json");
    return host->call({.method = "POST", .url = url, .headers = std::move(headers), .body = body});
  }
  http::Response get(const std::string& url) { return host->call({.url = url}); }

  asio::io_context agent{1};
  asio::thread_pool pool{2};
  ReportQueue reports;
  asio::thread_pool engine{1};
  pdp::EmbeddedPdp pdp{
      agent.get_executor(), engine.get_executor(), pool, {.engine = {.worker = test_worker()}}};
  std::shared_ptr<prometheus::Registry> metrics = std::make_shared<prometheus::Registry>();
  std::atomic<api::Readiness> readiness = api::Readiness::kNever;
  decision::DecisionService decisions{pdp, *metrics};
  std::unique_ptr<api::Api> api;
  std::optional<HttpHost> host;
};

TestComposition sample_model() {
  return compose({{"m",
                   1,
                   {"app", "authzen"},
                   {{"app/app.rego",
                     "package app\n\nallow if input.user == data.app.users[_]\n\necho := input\n\n"
                     "conflict := 1 if input.x\n\nconflict := 2 if input.x\n"},
                    {"app/users/data.json", R"(["ada", "bob"])"},
                    {"authzen/a.rego",
                     "package authzen\n\ndecide if input.subject.id == \"ada\"\n\n"
                     "decide := {\"decision\": false, \"context\": {\"reason\": \"bob\"}} if "
                     "input.subject.id == \"bob\"\n\n"
                     "decide := \"perhaps\" if input.subject.id == \"eve\"\n"}}}});
}

}  // namespace

TEST_CASE("OPA's data API") {
  AgentHost agent;
  CHECK(agent.post("/v1/data/app/allow", R"({"input": {"user": "ada"}})").status == 503);
  agent.activate(sample_model());
  CHECK(said(agent.post("/v1/data/app/allow", R"({"input": {"user": "ada"}})")) ==
        R"({"result":true})");
  CHECK(said(agent.post("/v1/data/app/allow", R"({"input": {"user": "eve"}})")) == "{}");
  CHECK(said(agent.post("/v1/data/app/allow", "")).starts_with(R"({"warning":)"));
  CHECK(agent.post("/v1/data/app/allow/", "{}").status == 200);
  CHECK(said(agent.get("/v1/data/app/users")) == R"({"result":["ada","bob"]})");
  CHECK(said(agent.get("/v1/data/app/echo?input=%7B%22a%22:1%7D")) == R"({"result":{"a":1}})");
  CHECK(said(agent.get("/v1/data/nothing/here")) == "{}");
  CHECK(said(agent.get("/v1/data/app/users?pretty=true")) ==
        "{\n  \"result\": [\n    \"ada\",\n    \"bob\"\n  ]\n}");
  CHECK(json::parse(agent.get("/v1/data").body).at("result").as_object().contains("app"));

  for (const char* body : {"{", "[]", "\"x\"", R"({"input": 1e})"}) {
    const auto refused = agent.post("/v1/data/app/allow", body);
    CHECK(refused.status == 400);
    CHECK(json::parse(refused.body).at("code") == "invalid_parameter");
  }
  CHECK(agent.get("/v1/data/app/allow?input=%7B").status == 400);
  const auto conflict = agent.post("/v1/data/app/conflict", R"({"input": {"x": true}})");
  CHECK(conflict.status == 500);
  CHECK(json::parse(conflict.body).at("code") == "internal_error");
  CHECK(agent.post("/v1/data/app/echo", fmt::format(R"({{"input": "{}"}})", Bytes(2 << 20, 'x')))
            .status == 413);
  // Large enough to be moved off the server's thread.
  CHECK(agent.post("/v1/data/app/echo", fmt::format(R"({{"input": "{}"}})", Bytes(200'000, 'x')))
            .body.size() > 200'000);
  const auto put = agent.host->call({.method = "PUT", .url = "/v1/data/app"});
  CHECK(put.status == 501);
  CHECK(agent.get("/v1/database").status == 404);
}

TEST_CASE("of an expired ledger both APIs answer what a PEP takes for a denial") {
  AgentHost agent;
  agent.activate(with_status(sample_model(), "m", status_at_age(1)));
  const Bytes ada = R"({"input": {"user": "ada"}})";
  const Bytes question = R"({"subject": {"type": "user", "id": "ada"}, "action": {"name": "read"},
                             "resource": {"type": "doc", "id": "1"}})";
  CHECK(said(agent.post("/v1/data/app/allow", ada)) == R"({"result":true})");
  CHECK(said(agent.post("/access/v1/evaluation", question)) == R"({"decision":true})");
  agent.activate(with_status(sample_model(), "m", status_at_age(3'601)));
  const auto denied = agent.post("/v1/data/app/allow", ada);
  CHECK(denied.status == 200);
  CHECK(said(denied) == "{}");
  CHECK(said(agent.get("/v1/data/app/users")) == "{}");
  CHECK(said(agent.post("/access/v1/evaluation", question)) == R"({"decision":false})");
  CHECK(said(agent.get("/v1/data/system/notp/ledgers/m/state")) == R"({"result":"expired"})");
}

TEST_CASE("AuthZEN: one evaluation") {
  AgentHost agent;
  agent.activate(sample_model());
  const auto ask = [&](std::string_view id) {
    return agent.post(
        "/access/v1/evaluation",
        fmt::format(R"({{"subject": {{"type": "user", "id": "{}"}}, "action": {{"name": "read"}},
      "resource": {{"type": "doc", "id": "1"}}, "context": {{}}}})",
                    id),
        {{"X-Request-ID", "r-7"}});
  };
  CHECK(said(ask("ada")) == R"({"decision":true})");
  CHECK(http::find_header(ask("ada").headers, "X-Request-ID") == "r-7");
  CHECK(said(ask("bob")) == R"({"decision":false,"context":{"reason":"bob"}})");
  CHECK(said(ask("zoe")) == R"({"decision":false})");
  CHECK(json::parse(ask("eve").body).at("decision") == false);
  for (
      const char* body :
      {"", "[]", R"({"subject": {"type": "user", "id": "ada"}, "action": {"name": "read"}})",
       R"({"subject": {"type": "user", "id": 7}, "action": {"name": "read"}, "resource": {"type": "d", "id": "1"}})",
       R"({"subject": {"type": "user", "id": "a"}, "action": {"name": "read"}, "resource": {"type": "d", "id": "1"}, "context": 1})"})
    CHECK(agent.post("/access/v1/evaluation", body).status == 400);
  CHECK(agent.get("/access/v1/evaluation").status == 405);
  CHECK(json::parse(agent.get("/.well-known/authzen-configuration").body)
            .at("access_evaluation_endpoint")
            .as_string() ==
        fmt::format("http://127.0.0.1:{}/access/v1/evaluation", agent.host->server->port()));
}

TEST_CASE("AuthZEN: several evaluations, with defaults and semantics") {
  AgentHost agent;
  agent.activate(sample_model());
  const auto ask = [&](std::string_view semantic, std::string_view ids) {
    std::string members;
    for (char id : ids)
      members += fmt::format(R"({}{{"subject": {{"type": "user", "id": "{}"}}}})",
                             members.empty() ? "" : ",",
                             id == 'a'   ? "ada"
                             : id == 'b' ? "bob"
                                         : "zoe");
    const auto response = agent.post(
        "/access/v1/evaluations",
        fmt::format(
            R"({{"action": {{"name": "read"}}, "resource": {{"type": "doc", "id": "1"}}, "evaluations": [{}], "options": {{"evaluations_semantic": "{}"}}}})",
            members, semantic));
    REQUIRE(response.status == 200);
    std::string decisions;
    for (const auto& item : json::parse(response.body).at("evaluations").as_array())
      decisions += item.at("decision").as_bool() ? 'y' : 'n';
    return decisions;
  };
  CHECK(ask("execute_all", "abza") == "ynny");
  CHECK(ask("deny_on_first_deny", "aabza") == "yyn");
  CHECK(ask("permit_on_first_permit", "bzab") == "nny");
  const auto mixed =
      json::parse(agent
                      .post("/access/v1/evaluations", R"({"subject": {"type": "user", "id": "ada"},
    "action": {"name": "read"}, "evaluations": [{"resource": {"type": "doc", "id": "1"}}, {}, 5]})")
                      .body);
  CHECK(mixed.at("evaluations").at(0).at("decision") == true);
  CHECK(mixed.at("evaluations").at(1).at("context").at("error").at("status") == 400);
  CHECK(mixed.at("evaluations").at(2).at("decision") == false);
  // Without a list it is one evaluation.
  CHECK(said(agent.post("/access/v1/evaluations",
                        R"({"subject": {"type": "user", "id": "ada"}, "action": {"name": "read"},
    "resource": {"type": "doc", "id": "1"}})")) == R"({"decision":true})");
  CHECK(agent
            .post("/access/v1/evaluations",
                  R"({"evaluations": [{}], "options": {"evaluations_semantic": "guess"}})")
            .status == 400);
  CHECK(agent.post("/access/v1/evaluations", R"({"evaluations": {}})").status == 400);
}

TEST_CASE("health has four states, and the rest of the routes answer") {
  AgentHost agent;
  CHECK(agent.get("/health/live").status == 200);
  CHECK(agent.get("/health/ready").status == 503);
  CHECK(json::parse(agent.get("/health/ready").body).at("state") == "never_loaded");
  agent.readiness = api::Readiness::kStale;
  CHECK(agent.get("/health/ready").status == 200);
  CHECK(json::parse(agent.get("/health/ready").body) ==
        json::value({{"state", "stale"}, {"ledgers", 1}}));
  agent.readiness = api::Readiness::kExpired;
  CHECK(agent.get("/health/ready").status == 503);
  CHECK(json::parse(agent.get("/health/ready").body).at("state") == "expired");
  agent.readiness = api::Readiness::kCurrent;
  CHECK(json::parse(agent.get("/health/ready").body).at("state") == "current");
  agent.activate(sample_model());
  agent.get("/v1/data/app/users");
  CHECK(agent.get("/metrics").body.find("notp_agent_decisions_total{outcome=\"defined\"} 1") !=
        std::string::npos);
  CHECK(said(agent.get("/v1/status")) == R"({"agent":"test"})");
  CHECK(agent.get("/bundles/notp").status == 404);  // no OPA is fed
}

}  // namespace notp
