// The agent in place of an OPA: the same requests to both must get the same answers.
#include "tests/support/process/stock_opa.hpp"

namespace notp {
namespace {

struct Scene {
  Stack stack;
  std::filesystem::path model = write_shop_model(stack);
  Agent* agent = nullptr;

  explicit Scene(json::object more = {}) {
    stack.start_registry();
    REQUIRE(stack.published(model, kShop) == 1);
    more.emplace("default_decision", "shop/allow");
    more.emplace("authzen", json::object{{"path", "shop/authzen"}});
    agent = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}, .more = std::move(more)});
    REQUIRE(wait_until([&] { return agent->has_active(kShop, 1); }));
  }
  std::string file(const std::string& name, std::string_view content) const {
    must(write_file(stack.file(name), content));
    return "@" + stack.file(name).string();
  }
};

TEST_CASE("what OPA answers, the agent answers") {
  const Scene scene;
  const StockOpa opa(scene.stack, scene.model);
  const std::string body = scene.file("body.json", R"({"input":{"user":"u-1"}})");
  const std::string serial = scene.file(
      "serial.json", R"({"input":{"user":"u-1","serial":604462909807314587353089,"f":1.50}})");
  must(write_file(scene.stack.file("body.json.gz"), ""));
  REQUIRE(run_command({"sh", "-c", fmt::format("gzip -c {0} > {0}.gz", body.substr(1))}).status ==
          0);
  const std::string json = "Content-Type: application/json";
  const std::vector<CurlRequest> requests = {
      {"/v1/data/shop/allow", "--data-binary", body},
      {"/v1/data/shop/allow", "-H", json, "--data-binary", body},
      {"/v1/data/shop/allow/", "-L", "--post301", "--data-binary", body},
      {"/v1/data/shop/allow", "-H", "Content-Encoding: gzip", "--data-binary", body + ".gz"},
      {"/v1/data/shop/allow", "-H", "Content-Type: application/x-yaml", "-d", "input: {user: u-1}"},
      {"/v1/data/shop/echo", "--data-binary", serial},
      {"/v1/data/shop/echo?pretty=true", "--data-binary", serial},
      {"/v1/data/shop/echo", "-d", "\xEF\xBB\xBF{\"input\": 1}"},
      {"/v1/data/shop/echo", "-d", "{\"input\": 1, \"input\": 2}"},
      {"/v1/data/shop/echo", "-d", "{\"INPUT\": {\"a\": 1, \"a\": 2}}"},
      {"/v1/data/shop/echo", "-d", "{\"input\": 1} trailing"},
      {"/v1/data/shop/echo", "-d", "{\"input\": null}"},
      {"/v1/data/shop/echo", "-d", "{\"input\": {\"a\": \"<&>\"}}"},
      {"/v1/data/shop/echo", "-d", "[1]"},
      {"/v1/data/shop/echo", "-d", "{\"input\": "},
      {"/v1/data/shop/echo", "-d", ""},
      {"/v1/data/shop/granted", "-d", "{}"},
      {"/v1/data/shop/granted", "-d", "{\"input\": {}}"},
      {"/v1/data/shop/none", "-d", "{\"input\": {}}"},
      {"/v1/data/shop/both", "-d", "{\"input\": {\"both\": true}}"},
      {"/v1/data/shop/division", "-d", "{\"input\": {\"zero\": 0}}"},
      {"/v1/data/shop/division?strict-builtin-errors", "-d", "{\"input\": {\"zero\": 0}}"},
      {"/v1/data/shop/labels/app%2Ftier"},
      {"/v1/data/shop/users/1"},
      {"/v1/data/shop/big"},
      {"/v1/data/shop/users?pretty"},
      {"/v1/data/shop/echo?input=%7B%22a%22%3A1%7D"},
      {"/v1/data/shop/echo?input=1&input=12345678901234567890123"},
      {"/v1/data/shop/echo?input=%7B"},
      {"/v1/data/shop/granted?explain=full&pretty", "-d", "{\"input\": {\"user\": \"u-2\"}}"},
      {"/v1/data/shop/granted?explain=notes", "-d", "{\"input\": {\"user\": \"u-1\"}}"},
      {"/v0/data/shop/allow", "-d", "{\"user\": \"u-1\"}"},
      {"/v0/data/shop/users?pretty", "-d", ""},
      {"/v0/data/shop/granted", "-d", "{}"},
      {"/v0/data/shop/none", "-d", "{}"},
      {"/v0/data/shop/labels/app%2Ftier", "-X", "POST"},
      {"/v0/data/shop/echo", "-H", "Content-Type: text/yaml", "-d", "a: [1, 2]"},
      {"/v0/data/shop/echo", "-d", "{"},
      {"/health"},
      {"/health?bundles"},
      {"/health?plugins&exclude-plugin=bundle"},
  };
  for (const CurlRequest& request : requests)
    check_same_answer(request, ask_by_curl(request, scene.agent->url()),
                      ask_by_curl(request, opa.url()));
}

TEST_CASE("answers say who decided, when they are asked to") {
  const Scene scene;
  const std::string url = scene.agent->url();
  const CurlAnswer answer = curl({url + "/v1/data/shop/allow?provenance&metrics&rule_labels", "-d",
                                  R"({"input":{"user":"u-1"}})"});
  REQUIRE(answer.status == 200);
  const json::value document = answer.document();
  CHECK(text_at(document, "decision_id").size() == 36);
  CHECK(text_at(document, "provenance.bundles.notp.revision") == kShop + "@1");
  CHECK(text_at(document, "provenance.version") == "1.22.2");
  CHECK(number_at(document, "metrics.timer_rego_query_eval_ns") > 0);
  CHECK(answer.body.ends_with("\n"));

  const CurlAnswer packed = curl({url + "/v1/data/shop/echo", "--compressed", "-d",
                                  "{\"input\":\"" + std::string(5'000, 'x') + "\"}"});
  CHECK(packed.headers.contains("gzip"));
  CHECK(packed.body.contains(std::string(5'000, 'x')));
}

TEST_CASE("the default decision, health rules, policies and the status") {
  const Scene scene;
  const std::string url = scene.agent->url();
  CHECK(curl({url + "/", "-d", R"({"user":"u-1"})"}).body == "true\n");
  CHECK(curl({url + "/"}).body.contains("/v1/data"));
  CHECK(curl({url + "/health/deep"}).status == 503);
  CHECK(curl({url + "/health/live"}).status == 200);

  const CurlAnswer list = curl({url + "/v1/policies"});
  REQUIRE(list.status == 200);
  const json::value first = list.document().at("result").as_array().at(0);
  CHECK(text_at(first, "id") == kShop + "/shop/policy.rego");
  CHECK(text_at(first, "raw").starts_with("package shop\n"));
  CHECK(curl({url + "/v1/policies/" + kShop + "/shop/policy.rego"}).document().at("result") ==
        first);
  CHECK(curl({url + "/v1/policies/none"}).code() == "resource_not_found");

  const json::value status = scene.agent->status();
  CHECK(text_at(status, "result.bundles.notp.active_revision") == kShop + "@1");
  CHECK(text_at(status, "result.plugins.bundle.state") == "OK");
  CHECK(text_at(status, "result.labels.id") == scene.agent->identity());
}

TEST_CASE("what is left out says so") {
  const Scene scene;
  const std::string url = scene.agent->url();
  const std::vector<std::vector<std::string>> left_out = {
      {"-X", "PUT", "-d", "{}", url + "/v1/data/shop/users"},
      {"-X", "PATCH", "-d", "[]", url + "/v1/data"},
      {"-X", "DELETE", url + "/v1/data/shop"},
      {"-X", "PUT", "-d", "package x", url + "/v1/policies/x"},
      {"-X", "DELETE", url + "/v1/policies/x"},
      {"-d", R"({"query":"data.shop.allow"})", url + "/v1/query"},
      {url + "/v1/query?q=x"},
      {"-d", "{}", url + "/v1/compile"},
      {"-d", "{}", url + "/v1/compile/shop/allow"},
      {url + "/v1/config"}};
  for (const auto& request : left_out) {
    const CurlAnswer answer = curl(request);
    CHECK_MESSAGE(answer.status == 501, request.back());
    CHECK(answer.code() == "not_implemented");
    CHECK(answer.body.contains("api_usage"));
  }
  CHECK(curl({url + "/v1/nothing"}).status == 404);
  CHECK(curl({"-X", "POST", url + "/v1/status"}).status == 405);
  // This agent does not feed an OPA.
  CHECK(curl({url + "/bundles/notp"}).status == 404);
}

TEST_CASE("AuthZEN over HTTP: an evaluation, several, the metadata, the caller's id") {
  const Scene scene;
  const std::string url = scene.agent->url(), json = "Content-Type: application/json";
  const std::string big = "604462909807314587353089";
  const CurlAnswer one =
      curl({url + "/access/v1/evaluation", "-H", json, "-H", "X-Request-ID: r-1", "-d",
            R"({"subject":{"type":"user","id":"u-1","properties":{"serial":)" + big +
                R"(}},"action":{"name":"read"},"resource":{"type":"t","id":"1"}})"});
  CHECK(one.status == 200);
  CHECK(one.body == R"({"decision":true,"context":{"serial":)" + big + "}}\n");
  CHECK(one.headers.contains("X-Request-ID: r-1"));
  const CurlAnswer several =
      curl({url + "/access/v1/evaluations", "-H", json, "-d",
            R"({"action":{"name":"read"},"resource":{"type":"t","id":"1"},"evaluations":[)"
            R"({"subject":{"type":"user","id":"u-2","properties":{"serial":1}}},{},)"
            R"({"subject":{"type":"user","id":"u-1","properties":{"serial":2}}}]})"});
  CHECK(several.status == 200);
  const json::value document = several.document();
  const json::array& list = document.at("evaluations").as_array();
  REQUIRE(list.size() == 3);
  CHECK(at(list[0], "decision") == json::value(false));
  CHECK(at(list[1], "decision") == json::value(false));
  CHECK(at(list[2], "decision") == json::value(true));
  CHECK(
      curl({url + "/access/v1/evaluation", "-H", "Content-Type: text/plain", "-d", "{}"}).status ==
      400);
  CHECK(curl({url + "/access/v1/search/subject", "-H", json, "-d", "{}"}).status == 404);
  CHECK(text_at(curl({url + "/.well-known/authzen-configuration"}).document(),
                "access_evaluation_endpoint") == url + "/access/v1/evaluation");
}

TEST_CASE("a large input is a matter of the configuration, which changes without a restart") {
  const Scene scene;
  const std::string body = scene.file(
      "large.json", R"({"input":{"user":"u-1","plan":")" + std::string(2'000'000, 'x') + "\"}}");
  const auto ask = [&] {
    return curl({scene.agent->url() + "/v1/data/shop/allow", "--data-binary", body});
  };
  CHECK(ask().status == 413);
  scene.agent->reconfigure({{"limits", {{"body_bytes", 8 << 20}}}});
  const CurlAnswer answer = ask();
  CHECK(answer.status == 200);
  CHECK(at(answer.document(), "result") == json::value(true));
}

}  // namespace
}  // namespace notp
