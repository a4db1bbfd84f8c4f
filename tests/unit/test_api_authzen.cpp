// notp-client/api/authzen: AuthZEN 1.0 in terms of questions.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "notp-client/api/authzen.hpp"

using namespace notp;

namespace {

constexpr std::string_view kJson = "application/json";

api::AuthzenRequest parsed(ByteView body, bool several = true) {
  auto request = api::AuthzenRequest::parse(kJson, body, several);
  REQUIRE_MESSAGE(request.has_value(), body);
  return *std::move(request);
}

unsigned refused(ByteView body, bool several = false, std::string_view type = kJson) {
  const auto request = api::AuthzenRequest::parse(type, body, several);
  return request ? 200 : request.error().status;
}

Result<std::vector<Result<pdp::Decision>>> values(std::vector<std::optional<Bytes>> texts) {
  std::vector<Result<pdp::Decision>> out;
  for (auto& text : texts) out.emplace_back(pdp::Decision{.value = std::move(text)});
  return out;
}

}  // namespace

TEST_CASE("an evaluation's tokens become the input, numbers as they are") {
  const auto request = parsed(
      R"({"subject":{"type":"user","id":"a","properties":{"serial":604462909807314587353089}},)"
      R"("action":{"name":"read"},"resource":{"type":"t","id":"1"},"foo":1,"context":{"x":1.50}})",
      false);
  REQUIRE(request.inputs().size() == 1);
  CHECK(*request.inputs().front() ==
        R"({"subject":{"type":"user","id":"a","properties":{"serial":604462909807314587353089}},)"
        R"("action":{"name":"read"},"resource":{"type":"t","id":"1"},"context":{"x":1.50}})");
  CHECK(request.respond(values({"true"})).body == "{\"decision\":true}\n");
  CHECK(request.respond(values({std::nullopt})).body == "{\"decision\":false}\n");
  CHECK(request.respond(values({R"({"decision":true,"context":{"n":12345678901234567890123}})"}))
            .body == "{\"decision\":true,\"context\":{\"n\":12345678901234567890123}}\n");
  const auto odd = request.respond(values({"1"}));
  CHECK(odd.status == 200);
  CHECK(odd.body.starts_with("{\"decision\":false,\"context\":{\"error\":{\"status\":500"));
  CHECK(
      request.respond(values({R"({"decision":"true"})"})).body.starts_with("{\"decision\":false"));
}

TEST_CASE("a request that misses what it must have is 400") {
  const std::string good =
      R"({"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"t","id":"1"}})";
  CHECK(refused(good) == 200);
  CHECK(refused(good, false, "Application/JSON ; charset=utf-8") == 200);
  CHECK(refused(good, false, "text/plain") == 400);
  CHECK(refused(good, false, "") == 400);
  for (
      const std::string_view body :
      {"", "[]", "{", "null", R"({"action":{"name":"r"},"resource":{"type":"t","id":"1"}})",
       R"({"subject":"a","action":{"name":"r"},"resource":{"type":"t","id":"1"}})",
       R"({"subject":{"id":"a"},"action":{"name":"r"},"resource":{"type":"t","id":"1"}})",
       R"({"subject":{"type":"u"},"action":{"name":"r"},"resource":{"type":"t","id":"1"}})",
       R"({"subject":{"type":"u","id":"a"},"action":{},"resource":{"type":"t","id":"1"}})",
       R"({"subject":{"type":"u","id":"a"},"action":{"name":1},"resource":{"type":"t","id":"1"}})",
       R"({"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"t"}})",
       R"({"subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"t","id":"1"},"context":[]})"})
    CHECK_MESSAGE(refused(body) == 400, body);
}

TEST_CASE("evaluations take from the top what they leave out") {
  const auto request = parsed(
      R"({"subject":{"type":"u","id":"a"},"action":{"name":"w"},"resource":{"type":"record"},)"
      R"("context":{"c":1},"evaluations":[{"resource":{"id":"1","properties":{"p":1}}},)"
      R"({"resource":{"type":"t","id":"2"},"context":{}},{},7,{"resource":{"id":"3"},"action":{}}]})");
  REQUIRE(request.inputs().size() == 3);
  CHECK(*request.inputs()[0] ==
        R"({"subject":{"type":"u","id":"a"},"action":{"name":"w"},)"
        R"("resource":{"type":"record","id":"1","properties":{"p":1}},"context":{"c":1}})");
  CHECK(*request.inputs()[1] == R"({"subject":{"type":"u","id":"a"},"action":{"name":"w"},)"
                                R"("resource":{"type":"t","id":"2"},"context":{}})");
  CHECK(*request.inputs()[2] == R"({"subject":{"type":"u","id":"a"},"action":{"name":"w"},)"
                                R"("resource":{"type":"record","id":"3"},"context":{"c":1}})");
  const auto response = request.respond(values({"true", "false", "true"}));
  CHECK(response.status == 200);
  CHECK(
      response.body ==
      R"({"evaluations":[{"decision":true},{"decision":false},{"decision":false,"context":)"
      R"({"error":{"status":400,"message":"resource.id is missing or not a string"}}},)"
      R"({"decision":false,"context":{"error":{"status":400,"message":"an evaluation is not an object"}}},)"
      R"({"decision":true}]})"
      "\n");
}

TEST_CASE("without evaluations it is one evaluation") {
  const std::string top =
      R"("subject":{"type":"u","id":"a"},"action":{"name":"r"},"resource":{"type":"t","id":"1"})";
  CHECK(parsed("{" + top + "}").respond(values({"true"})).body == "{\"decision\":true}\n");
  CHECK(parsed("{" + top + ",\"evaluations\":[]}").respond(values({"true"})).body ==
        "{\"decision\":true}\n");
  CHECK(refused("{" + top + ",\"evaluations\":{}}", true) == 400);
}

TEST_CASE("semantics end early") {
  const auto with = [](std::string_view semantic) {
    return fmt::format(
        R"({{"subject":{{"type":"u","id":"a"}},"action":{{"name":"r"}},"options":{{"evaluations_semantic":"{}"}},)"
        R"("evaluations":[{{"resource":{{"type":"t","id":"1"}}}},{{"resource":{{"type":"t","id":"2"}}}},)"
        R"({{"resource":{{"type":"t","id":"3"}}}}]}})",
        semantic);
  };
  const auto answer = [&](std::string_view semantic, std::vector<std::optional<Bytes>> texts) {
    return parsed(with(semantic)).respond(values(std::move(texts))).body;
  };
  CHECK(answer("deny_on_first_deny", {"true", "false", "true"}) ==
        "{\"evaluations\":[{\"decision\":true},{\"decision\":false}]}\n");
  CHECK(answer("permit_on_first_permit", {"false", "true", "true"}) ==
        "{\"evaluations\":[{\"decision\":false},{\"decision\":true}]}\n");
  CHECK(answer("execute_all", {"false", "true", "true"}) ==
        "{\"evaluations\":[{\"decision\":false},{\"decision\":true},{\"decision\":true}]}\n");
  CHECK(refused(with("odd"), true) == 400);
}

TEST_CASE("evaluations that cannot be recorded are not answered, none of them") {
  const std::string one = R"({"subject":{"type":"u","id":"a"},"action":{"name":"r"},)"
                          R"("resource":{"type":"t","id":"1"})";
  const pdp::Decisions unrecorded = fail(ErrorCode::kAuditUnavailable, "the spool is full");
  for (const std::string& body : {one + "}", one + R"(,"evaluations":[{},{"subject":7}]})"}) {
    const http::Response answer = parsed(body).respond(unrecorded);
    CHECK(answer.status == 503);
    CHECK(answer.body.contains("audit_unavailable"));
    CHECK_FALSE(answer.body.contains("decision"));
  }
}

TEST_CASE("many evaluations with large defaults are refused before they take memory") {
  std::string body = R"({"subject":{"type":"u","id":"a"},"action":{"name":"r"},"context":{"x":")" +
                     std::string(256 << 10, 'x') + R"("},"evaluations":[)";
  for (int i = 0; i < 100; ++i)
    body += fmt::format(R"({}{{"resource":{{"type":"t","id":"{}"}}}})", i ? "," : "", i);
  CHECK(refused(body + "]}", true) == 413);
  std::string many = R"({"evaluations":[)";
  for (size_t i = 0; i <= api::kEvaluationsMax; ++i) many += i ? ",{}" : "{}";
  CHECK(refused(many + "]}", true) == 400);
}

TEST_CASE("the metadata names the endpoints by their URLs") {
  CHECK(json::serialize(api::authzen_configuration("https://pdp.example:8443")) ==
        R"({"policy_decision_point":"https://pdp.example:8443",)"
        R"("access_evaluation_endpoint":"https://pdp.example:8443/access/v1/evaluation",)"
        R"("access_evaluations_endpoint":"https://pdp.example:8443/access/v1/evaluations"})");
}
