// Decisions over real HTTP, by the embedded engine, and their records.
#include <doctest/doctest.h>

#include "common/json/json.hpp"
#include "notp-client/api/api.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/recording_log.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

const std::string kUnsigned = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEifQ.";

pdp::ActiveSetPtr with_terms(const pdp::ActiveSetPtr& given) {
  auto active = std::make_shared<pdp::ActiveSet>(*given);
  model::DecisionTerms terms;
  terms.mask = {{model::MaskOp::kRemove, "/input/password", {}}};
  terms.strict = {"app/strict"};
  active->ledgers.at({100'000'000'000, "m"}).terms =
      std::make_shared<const model::DecisionTerms>(terms);
  return active;
}

// The agent's routes with an embedded PDP, and a log in memory. One request at a time: a test reads
// the log between them.
struct RecordedAgent {
  RecordedAgent() {
    decisions.set_rules({.default_path = {"app", "allow"}, .authzen_path = {"app", "allow"}});
    const auto model = compose(
        {{"m",
          1,
          {"app"},
          {{"app/app.rego",
            "package app\n\nallow if input.user == \"ada\"\n\nallow if input.subject.id == "
            "\"ada\"\n\nstrict := true\n\nnow := time.now_ns()\n\nconflict := 1 if "
            "input.x\n\nconflict := 2 if input.x\n"}}},
         {"log",
          1,
          {"system/log"},
          {{"system/log/log.rego",
            "package system.log\n\nmask contains \"/input/e mail\"\n\ndrop if input.path == "
            "\"app/ping\"\n\nmask contains {\"op\": \"upsert\", \"path\": "
            "\"/input/node\", \"value\": input.labels.id} if input.input.node\n"}}}});
    pdp.start(reports.sink());
    pdp.activate(with_terms(model.active_set), model.load);
    const auto work = asio::make_work_guard(agent);
    agent.run_one();
    const auto report = reports.next();
    REQUIRE_FALSE(report->rejected);
    host.emplace(api.handler());
  }
  ~RecordedAgent() {
    host.reset();
    pool.join();
  }
  http::Response post(const std::string& url, const Bytes& body, http::Headers headers = {}) {
    headers.emplace_back("Content-Type", "application/json");
    return host->call({.method = "POST", .url = url, .headers = std::move(headers), .body = body});
  }

  asio::io_context agent{1};
  asio::thread_pool pool{2};
  ReportQueue reports;
  asio::thread_pool engine{1};
  pdp::EmbeddedPdp pdp{
      agent.get_executor(), engine.get_executor(), pool, {.engine = {.worker = test_worker()}}};
  std::shared_ptr<prometheus::Registry> metrics = std::make_shared<prometheus::Registry>();
  RecordingLog log;
  decision::DecisionRecorder recorder{
      log, {.labels = {{"id", "node-7"}}, .engine = "embedded"}, *metrics};
  decision::DecisionService decisions{pdp, *metrics, false, &recorder};
  api::Api api{api::Access(api::AccessRules{}),
               api::ApiParts{.decisions = decisions,
                             .engine_version = {},
                             .health = {.health = [] { return api::Health{.can_evaluate = true}; },
                                        .metrics = metrics,
                                        .refresh_metrics = {}},
                             .status = {.status = [] { return json::object(); },
                                        .policies = [] { return api::PolicySource(); }},
                             .opa = {}},
               pool};
  std::optional<HttpHost> host;
};

}  // namespace

TEST_CASE("a decision's answer has the id of its record, which has all that it may") {
  RecordedAgent agent;
  const auto answer = agent.post(
      "/v1/data/app/allow",
      R"({"input": {"user": "ada", "password": "p", "e mail": "a@b", "node": 1, "n": 1e400,)"
      R"( "token": ")" +
          kUnsigned + R"(c2ln"}})",
      {{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}});
  REQUIRE_MESSAGE(answer.status == 200, answer.body);
  CHECK(json::parse(answer.body).at("decision_id") == "id-0");
  REQUIRE(agent.log.seen().entries.size() == 1);
  const record::DecisionContent& content = agent.log.seen().last();
  CHECK(content.input ==
        R"({"user":"ada","node":"node-7","n":1e400,"token":")" + kUnsigned + "\"}");
  CHECK(content.result == "true");
  CHECK(content.outcome == record::Outcome::kAllow);
  CHECK(content.ledger == "100000000000/m");
  CHECK(content.erased == std::vector<std::string>{"/input/password", "/input/e mail"});
  CHECK(content.pep.address == "127.0.0.1");
  CHECK(content.span_id == "00f067aa0ba902b7");
  CHECK(content.eval_time_ns > 1'700'000'000'000'000'000);
  CHECK(content.times.handler_us >= content.times.evaluation_us);
  CHECK(content.times.evaluation_us > 0);
  REQUIRE(agent.log.seen().entries[0].active);
  CHECK(agent.log.seen().entries[0].active->releases.size() == 2);
}

TEST_CASE("the clock that a policy saw is in its record") {
  RecordedAgent agent;
  const auto now = json::parse(agent.post("/v1/data/app/now", "{}").body).at("result").as_int64();
  CHECK(agent.log.seen().last().eval_time_ns == now);
  CHECK(agent.log.seen().last().nd_builtin_cache ==
        "{\"time.now_ns\":{\"[]\":" + std::to_string(now) + "}}");
}

TEST_CASE("failures are recorded and masked alike, and the policy's drop is counted") {
  RecordedAgent agent;
  CHECK(agent.post("/v1/data/app/conflict", R"({"input": {"x": 1, "e mail": "a@b"}})").status ==
        500);
  CHECK(agent.log.seen().last().error->code == "eval_conflict_error");
  CHECK(agent.log.seen().last().input == R"({"x":1})");
  CHECK(agent.post("/v1/data/app/conflict", R"({"input": )").status == 400);
  CHECK(agent.log.seen().last().withheld);
  const size_t recorded = agent.log.seen().entries.size();
  CHECK(agent.post("/v1/data/app/ping", "{}").status == 200);
  CHECK(agent.log.seen().entries.size() == recorded);
  CHECK(agent.log.seen().dropped ==
        std::vector<std::string>{"app/ping undefined data.system.log.drop"});
  CHECK(agent.host->call({.url = "/health/mine"}).status == 503);
  CHECK(agent.log.seen().last().api == record::Api::kHealth);
  CHECK(agent.log.seen().last().path == "system/health/mine");
}

TEST_CASE("what cannot be recorded is not given") {
  RecordedAgent agent;
  agent.log.change([](RecordingLog& log) {
    log.refusal = Error{ErrorCode::kAuditUnavailable, "the spool is full", {}};
  });
  const auto refused = agent.post("/v1/data/app/allow", R"({"input": {"user": "ada"}})");
  CHECK(refused.status == 503);
  CHECK(json::parse(refused.body).at("code") == "audit_unavailable");
  const std::string one = R"({"subject":{"type":"u","id":"ada"},"action":{"name":"r"},)"
                          R"("resource":{"type":"t","id":"1"})";
  CHECK(agent.post("/access/v1/evaluations", one + R"(,"evaluations":[{},{}]})").status == 503);
  agent.log.change([](RecordingLog& log) { log.refusal.reset(); });
  const auto given = agent.post("/access/v1/evaluations", one + R"(,"evaluations":[{},{}]})");
  CHECK(given.body == "{\"evaluations\":[{\"decision\":true},{\"decision\":true}]}\n");
  REQUIRE(agent.log.seen().entries.size() == 2);
  CHECK(agent.log.seen().last().batch_decision_id == "id-0");
  CHECK(agent.log.seen().last().api == record::Api::kAuthzen);
  agent.log.change([](RecordingLog& log) { log.is_durable = true; });
  CHECK(agent.post("/v1/data/app/strict", "{}").status == 200);
  CHECK(agent.log.seen().entries.back().durability == spool::Durability::kStrict);
}

}  // namespace notp
