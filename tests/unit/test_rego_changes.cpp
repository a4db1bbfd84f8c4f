// Compiled policies under which a document or other policies change.
#include "tests/support/rego_policies.hpp"

namespace notp {
namespace {

using rego::Document;

std::shared_ptr<const Document> document(std::string_view path, std::string_view json) {
  auto parsed = Document::parse(path, json);
  REQUIRE(parsed);
  return *parsed;
}

}  // namespace

TEST_CASE("a document is replaced under the same policies, which stay as they were") {
  const std::vector<std::shared_ptr<const Document>> data = {
      document("system/notp", R"({"state":"fresh","age":1})"),
      document("shop", R"({"admins":["root"],"other":{"x":1}})")};
  const std::vector<SourceFile> modules = {
      kAllow,
      {"guard.rego",
       "package guard\nimport data.system.notp\nok if notp.state == \"fresh\"\n"
       "as_mocked if ok with data.system.notp.state as \"fresh\"\n"},
      {"far.rego", "package far\nage := data.system.notp.age\n"}};
  const auto first = Policy::compile(modules, data);
  REQUIRE(first);
  // One is asked before the replacement and one is not: both see it after.
  CHECK(value(**first, "guard/ok") == "true");
  const auto second = (*first)->with_document(*document("system/notp", R"({"state":"stale"})"));
  REQUIRE(second);
  CHECK(value(**second, "guard/ok") == "undefined");
  CHECK(value(**second, "guard/as_mocked") == "true");
  CHECK(value(**second, "far/age") == "undefined");  // replaced, not merged
  CHECK(value(**second, "system") == R"({"notp":{"state":"stale"}})");
  CHECK(value(**second, "shop/other") == R"({"x":1})");
  CHECK(value(**second, "shop/authz/allow", R"({"user":"root"})") == "true");
  CHECK(value(**second, "").find(R"("state":"stale")") != std::string::npos);
  CHECK(value(**first, "guard/ok") == "true");
  CHECK(value(**first, "far/age") == "1");
  // And again from there, after the whole and its parts were asked.
  const auto third =
      (*second)->with_document(*document("system/notp", R"({"state":"fresh","age":2})"));
  REQUIRE(third);
  CHECK(value(**third, "guard") == R"({"as_mocked":true,"ok":true})");
  CHECK(value(**third, "far/age") == "2");
  CHECK(value(**third, "").find(R"("age":2)") != std::string::npos);
}

TEST_CASE("a document that no data held before is put there; where rules lie it is refused") {
  const PolicyPtr policy = compiled({kAllow}, R"({"flat":1})");
  const auto more = policy->with_document(*document("deep/er/still", "[1]"));
  REQUIRE(more);
  CHECK(value(**more, "deep") == R"({"er":{"still":[1]}})");
  for (const char* path : {"shop/authz", "shop/authz/allow", "shop", "flat/x"}) {
    const auto refused = policy->with_document(*document(path, "{}"));
    CAPTURE(path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUsage);
  }
}

TEST_CASE("functions that go leave undefined ones to those who call them") {
  const std::vector<SourceFile> missing = {
      {"lib.rego",
       "package pay.lib\nnear(x, y) if x < y\nnear(x, y) if y == 0\ntwice(x) := 2 * x\n"
       "unused(x) := x\nvalue := 7\n"},
      {"odd.rego", "package pay[\"a-b\"]\nf(_) := 1\n"},
      {"broken.rego", "package pay.broken\n:=\n"}};
  const std::vector<SourceFile> callers = {
      {"a.rego",
       "package a\nimport data.pay.lib\nimport data.pay.lib.twice as double\n"
       "ok if lib.near(1, 2)\nfour := double(2)\nplain := data.pay.lib.value\n"
       "rest := \"kept\"\nodd := data.pay[\"a-b\"].f(1)\n"
       "mocked if ok with lib.near as data.a.yes\nyes(_, _) := true\n"}};
  const auto modules = rego::undefined_functions(callers, missing);
  REQUIRE(modules);
  REQUIRE(modules->size() == 2);
  CHECK((*modules)[0] ==
        "package pay.lib\n\nnear(_, _) := true if false\ntwice(_) := true if false\n");
  CHECK((*modules)[1] == "package pay[\"a-b\"]\n\nf(_) := true if false\n");
  CHECK_FALSE(findings(callers).empty());
  std::vector<SourceFile> rest = callers;
  for (const auto& text : *modules)
    rest.push_back({"stand-in" + std::to_string(rest.size()), text});
  const PolicyPtr policy = compiled(rest);
  CHECK(value(*policy, "a/ok") == "undefined");
  CHECK(value(*policy, "a/four") == "undefined");
  CHECK(value(*policy, "a/odd") == "undefined");
  CHECK(value(*policy, "a/plain") == "undefined");
  CHECK(value(*policy, "a/rest") == R"("kept")");
  CHECK(value(*policy, "a/mocked") == "true");
  const std::vector<SourceFile> strangers = {{"b.rego", "package b\nx := data.pay.lib.value\n"}};
  CHECK(rego::undefined_functions(strangers, missing).value().empty());
}

}  // namespace notp
