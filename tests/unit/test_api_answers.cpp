// notp-client/api/data_api, health_api, policies_api, left_out: questions and answers as in OPA.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/rego/host/question.hpp"
#include "notp-client/api/data_api.hpp"
#include "notp-client/api/health_api.hpp"
#include "notp-client/api/left_out.hpp"
#include "notp-client/api/policies_api.hpp"

using namespace notp;

namespace {

using Path = std::vector<std::string>;

http::Request request(std::string method, std::string path, std::string query = {},
                      Bytes body = {}) {
  http::Request out;
  out.method = std::move(method);
  out.raw_path = path;
  out.path = http::percent_decode(path).value_or("");
  out.query = std::move(query);
  out.body = std::move(body);
  return out;
}

Result<pdp::Decision> decided(std::optional<Bytes> value, Bytes extras = {}) {
  return pdp::Decision{
      .value = std::move(value), .active = {}, .extras = std::move(extras), .has_input = true};
}

}  // namespace

TEST_CASE("a GET asks with the last input, or without") {
  auto asked = api::parse_data_question(request("GET", "/v1/data/shop/labels/app%2Ftier"));
  CHECK(asked.question.path == Path{"shop", "labels", "app/tier"});
  REQUIRE(asked.question.inputs.size() == 1);
  CHECK_FALSE(asked.question.inputs.front());
  CHECK(asked.question.form == pdp::InputForm::kValue);
  CHECK_FALSE(asked.is_post);

  asked = api::parse_data_question(
      request("GET", "/v1/data", "input=1&pretty&input=%7B%22a%22%3A2%7D"));
  CHECK(asked.question.path.empty());
  CHECK(asked.question.inputs.front() == R"({"a":2})");
  CHECK(asked.pretty);
}

TEST_CASE("a POST hands its body on as it is, in the form that its type says") {
  http::Request post =
      request("POST", "/v1/data/shop/allow/", "metrics=TRUE", "{\"input\":1} junk");
  auto asked = api::parse_data_question(post);
  CHECK(asked.question.path == Path{"shop", "allow"});
  CHECK(asked.question.inputs.front() == "{\"input\":1} junk");
  CHECK(asked.question.form == pdp::InputForm::kBody);
  CHECK(asked.question.flags == rego::kMetrics);
  CHECK(asked.is_post);
  post.headers = {{"content-type", "application/x-yaml"}};
  CHECK(api::parse_data_question(post).question.form == pdp::InputForm::kBodyYaml);

  asked = api::parse_plain_question(request("POST", "/v0/data/shop/allow", "", "{}"));
  CHECK(asked.question.path == Path{"shop", "allow"});
  CHECK(asked.question.form == pdp::InputForm::kPlainBody);
  CHECK(api::parse_plain_question(request("POST", "/", "", "{}")).question.path.empty());
}

TEST_CASE("parameters switch as OPA's do") {
  const auto flag = [](std::string query) {
    return api::flag_parameter(request("GET", "/v1/data", std::move(query)), "pretty");
  };
  CHECK(flag("pretty"));
  CHECK(flag("pretty="));
  CHECK(flag("pretty=True"));
  CHECK(flag("pretty=false&pretty=true"));
  CHECK_FALSE(flag("pretty=1"));
  CHECK_FALSE(flag("pretty=false"));
  CHECK_FALSE(flag(""));
  const auto asked = api::parse_data_question(
      request("GET", "/v1/data",
              "strict-builtin-errors&instrument&rule_labels&explain=fails&explain=full"));
  CHECK(asked.question.flags ==
        (rego::kStrictBuiltinErrors | rego::kInstrument | rego::kMetrics | rego::kRuleLabels));
  CHECK(asked.question.explain == pdp::ExplainMode::kFails);
  CHECK(api::parse_data_question(request("GET", "/v1/data", "explain=odd")).question.explain ==
        pdp::ExplainMode::kOff);
}

TEST_CASE("an answer has its members in OPA's order, and numbers as they are") {
  const std::string big = R"({"n":123456789012345678901234567890,"f":1.10})";
  const auto plain = api::data_answer({.decision_id = "id-1"}, decided(big));
  CHECK(plain.status == 200);
  CHECK(plain.body == R"({"decision_id":"id-1","result":)" + big + "}\n");
  CHECK(plain.may_compress);

  const auto full = api::data_answer(
      {.decision_id = "id-2", .engine_version = "1.2.3"},
      decided("true", R"({"rule_labels":[{"a":1}],"metrics":{"m":1},"explanation":[],"odd":1})"));
  CHECK(full.body ==
        R"({"decision_id":"id-2","provenance":{"version":"1.2.3","build_commit":"",)"
        R"("build_timestamp":"","build_hostname":"","bundles":{"notp":{"revision":""}}},)"
        R"("explanation":[],"metrics":{"m":1},"result":true,"rule_labels":[{"a":1}]})"
        "\n");

  const auto undefined = api::data_answer({.decision_id = "x"}, decided(std::nullopt));
  CHECK(undefined.status == 200);
  CHECK(undefined.body == "{\"decision_id\":\"x\"}\n");
  CHECK(api::data_answer({.pretty = true, .decision_id = "x"}, decided("[1]")).body ==
        "{\n  \"decision_id\": \"x\",\n  \"result\": [\n    1\n  ]\n}\n");
}

TEST_CASE("a POST without input is warned about, as OPA does") {
  pdp::Decision no_input{.value = "true", .active = {}, .extras = {}, .has_input = false};
  CHECK(api::data_answer({.warns_without_input = true, .decision_id = "x"}, no_input).body ==
        "{\"decision_id\":\"x\",\"result\":true,\"warning\":{\"code\":\"api_usage_warning\","
        "\"message\":\"'input' key missing from the request\"}}\n");
  CHECK_FALSE(api::data_answer({.decision_id = "x"}, no_input).body.contains("warning"));
}

TEST_CASE("a plain answer is the value, or 404 in OPA's words") {
  CHECK(api::plain_answer({"a"}, decided("[1,2]"), false).body == "[1,2]\n");
  pdp::Decision none;
  auto response = api::plain_answer({"shop", "app/tier", "0", "x_1"}, none, false);
  CHECK(response.status == 404);
  CHECK(response.body.contains("undefined_document"));
  CHECK(response.body.contains(R"(document missing: data.shop[\"app/tier\"][0].x_1)"));
  none.rule_exists = true;
  CHECK(api::plain_answer({"shop"}, none, false).body.contains("document undefined: data.shop"));
}

TEST_CASE("a policy that fails is OPA's internal_error with its details") {
  Error error{ErrorCode::kInvalidModel, "eval_conflict_error: two values", {}};
  error.context.emplace_back(rego::kEvaluationErrorsKey,
                             R"([{"code":"eval_conflict_error","message":"m"}])");
  const auto response = api::evaluation_error_response(error);
  CHECK(response.status == 500);
  CHECK(response.body ==
        "{\n  \"code\": \"internal_error\",\n  \"message\": \"error(s) occurred while evaluating "
        "query\",\n  \"errors\": [\n    {\n      \"code\": \"eval_conflict_error\",\n      "
        "\"message\": \"m\"\n    }\n  ]\n}\n");
  const std::vector<std::pair<ErrorCode, unsigned>> statuses = {
      {ErrorCode::kMessage, 400},     {ErrorCode::kLimit, 413},      {ErrorCode::kUnavailable, 503},
      {ErrorCode::kQuarantined, 503}, {ErrorCode::kOverloaded, 503}, {ErrorCode::kTimeout, 500},
      {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : statuses)
    CHECK(api::evaluation_error_response(Error{code, "m", {}}).status == status);
}

TEST_CASE("health is OPA's, with 503") {
  api::Health health;
  const auto status = [&](std::string query) {
    return api::health_response(request("GET", "/health", std::move(query)), health).status;
  };
  CHECK(status("") == 503);
  health.can_evaluate = true;
  health.inactive = {"100000000000/shop"};
  CHECK(status("") == 200);
  CHECK(api::health_response(request("GET", "/health"), health).body == "{}\n");
  CHECK(status("bundles") == 503);
  CHECK(status("bundle=true") == 503);
  CHECK(status("bundles=false") == 200);
  CHECK(status("plugins") == 503);
  CHECK(api::health_response(request("GET", "/health", "bundles"), health).body ==
        "{\"error\":\"one or more bundles are not activated: 100000000000/shop\"}\n");
  health.inactive.clear();
  health.readiness = api::Readiness::kStale;
  CHECK(status("bundles&plugins") == 200);
  health.readiness = api::Readiness::kExpired;
  CHECK(status("bundles") == 200);
  CHECK(status("plugins") == 503);
  CHECK(status("plugins&exclude-plugin=status&exclude-plugin=bundle") == 200);
}

TEST_CASE("ready says its state to all, and what is behind it to some") {
  api::Health health{.readiness = api::Readiness::kStale,
                     .can_evaluate = true,
                     .inactive = {},
                     .detail = {{"connected", true}}};
  const auto some = api::ready_response(health, true);
  CHECK(some.status == 200);
  CHECK(some.body == "{\"state\":\"stale\",\"connected\":true}\n");
  CHECK(api::ready_response(health, false).body == "{\"state\":\"stale\"}\n");
  health.readiness = api::Readiness::kNever;
  const auto never = api::ready_response(health, false);
  CHECK(never.status == 503);
  CHECK(http::find_header(never.headers, "NOTP-State") == "never_loaded");
}

TEST_CASE("a health rule is asked with what is ready, and must be true") {
  api::Health health{
      .readiness = api::Readiness::kCurrent, .can_evaluate = true, .inactive = {}, .detail = {}};
  CHECK(api::health_rule_input(health) ==
        R"({"plugin_state":{"bundle":"OK"},"plugins_ready":true})");
  health.inactive.emplace_back("z/l");
  CHECK(api::health_rule_input(health) ==
        R"({"plugin_state":{"bundle":"NOT_READY"},"plugins_ready":false})");
  const Path path{"system", "health", "deep"};
  CHECK(api::health_rule_response(path, decided("true")).status == 200);
  CHECK(api::health_rule_response(path, decided("1")).body.contains("returned unexpected value"));
  const auto undefined = api::health_rule_response(path, decided(std::nullopt));
  CHECK(undefined.status == 503);
  CHECK(undefined.body == "{\"error\":\"health check (data.system.health.deep) was undefined\"}\n");
}

TEST_CASE("policies are listed with their text, and found by id") {
  const auto text = std::make_shared<const Bytes>("package shop\n");
  pdp::ActiveSet active_set;
  auto tree = model::Tree::make({{"shop/p.rego", {model::blob_hash(*text), text->size()}},
                                 {"shop/p_test.rego", {model::blob_hash(*text), text->size()}},
                                 {"shop/data.json", {model::blob_hash(*text), text->size()}}});
  REQUIRE(tree);
  pdp::ActiveRelease release;
  release.tree = std::make_shared<const model::Tree>(*std::move(tree));
  active_set.ledgers.emplace(*model::LedgerId::parse("100000000000/shop"), release);
  const api::PolicySource source{std::make_shared<const pdp::ActiveSet>(active_set),
                                 [&](const Hash&) -> Result<model::Content> { return text; }};
  const std::string one = R"({"id":"100000000000/shop/shop/p.rego","raw":"package shop\n"})";
  CHECK(api::policies_response(source, "", false).body == "{\"result\":[" + one + "]}\n");
  CHECK(api::policies_response(source, "100000000000/shop/shop/p.rego", false).body ==
        "{\"result\":" + one + "}\n");
  CHECK(api::policies_response(source, "shop/p.rego", false).status == 404);
  CHECK(api::policies_response({}, "", false).body == "{\"result\":[]}\n");
  const api::PolicySource lost{source.active, [](const Hash&) -> Result<model::Content> {
                                 return fail(ErrorCode::kNotFound, "collected");
                               }};
  CHECK(api::policies_response(lost, "", false).status == 503);
}

TEST_CASE("what is left out says why, and what to do") {
  for (const api::LeftOut& route : api::left_out_routes()) {
    const auto response = api::left_out_response(route);
    CHECK(response.status == 501);
    CHECK(response.body.contains("not_implemented"));
    CHECK(response.body.contains("api_usage"));
    CHECK(response.body.contains(route.reason));
  }
}
