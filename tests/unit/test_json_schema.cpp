// common/json/json_schema: verdicts and messages.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "common/json/json_schema.hpp"
#include "common/limits.hpp"
#include "schemas/embedded.hpp"

using namespace notp;

namespace {

std::string findings(std::string_view schema, std::string_view document) {
  const auto checked = validate_json_schema(schema, document);
  if (checked) return "valid";
  CHECK_MESSAGE(checked.error().code == ErrorCode::kInvalidModel, checked.error().message);
  return checked.error().message;
}

ErrorCode code(std::string_view schema, std::string_view document) {
  const auto checked = validate_json_schema(schema, document);
  REQUIRE_FALSE(checked.has_value());
  return checked.error().code;
}

}  // namespace

TEST_CASE("JSON Schema: every violation with its pointer") {
  const std::string schema = R"({"type":"object","required":["name"],
    "properties":{"name":{"type":"string"},"roots":{"type":"array","items":{"pattern":"^[a-z]+$"}}}})";
  CHECK(findings(schema, R"({"name":"x","roots":["a"]})") == "valid");
  CHECK(findings(schema, R"({"name":1,"roots":["a","B"]})") ==
        "/name: 1 is not a string\n/roots/1: \"B\" does not match ^[a-z]+$");
  CHECK(findings(schema, "{}") == "(root): \"name\" is required");
  CHECK(findings(schema, "[]") == "(root): an array is not an object");
}

TEST_CASE("JSON Schema: a message says what is wrong and what is allowed") {
  const std::vector<std::array<std::string, 3>> cases = {
      {R"({"enum":["debug","info",3]})", R"("loud")", R"("loud" is not one of "debug", "info", 3)"},
      {R"({"const":"rego"})", R"("cedar")", R"("cedar" is not "rego")"},
      {R"({"const":1})", R"({"a":1})", "an object is not 1"},
      {R"({"type":"integer"})", R"("two")", R"("two" is not an integer)"},
      {R"({"type":["integer","null"]})", "1.5", "1.5E0 is not an integer or null"},
      {R"({"type":"boolean"})", "[]", "an array is not true or false"},
      {R"({"minimum":1})", "0", "0 is below the minimum of 1"},
      {R"({"maximum":10})", "11", "11 is above the maximum of 10"},
      {R"({"exclusiveMaximum":10})", "10", "10 is not below 10"},
      {R"({"multipleOf":5})", "11", "11 is not a multiple of 5"},
      {R"({"minLength":1})", R"("")", R"("" has fewer characters than 1)"},
      {R"({"maxLength":2})", R"("äöü")", R"("äöü" has more characters than 2)"},
      {R"({"minItems":1})", "[]", "an array has fewer elements than 1"},
      {R"({"maxItems":1})", "[1,2]", "an array has more elements than 1"},
      {R"({"minProperties":1})", "{}", "an object has fewer members than 1"},
      {R"({"maxProperties":1})", R"({"a":1,"b":2})", "an object has more members than 1"},
      {R"({"uniqueItems":true})", R"([{"a":1,"b":2},2,{"b":2.0,"a":1}])",
       "elements 0 and 2 are equal: an object"},
      {R"({"properties":{"thread":{},"log":{}},"additionalProperties":false})", R"({"threads":1})",
       R"(the name "threads" is not known; known are log, thread)"},
      {R"({"propertyNames":{"pattern":"^[a-z]+$","maxLength":3}})", R"({"A":1})",
       R"(the name "A" does not match ^[a-z]+$)"},
      {R"({"not":{"type":"string"}})", R"("x")", R"("x" has a form that is not allowed)"},
      {R"({"anyOf":[{"type":"string"},{"minimum":5}]})", "1",
       "1 fits none of the forms that are allowed"},
      {R"({"oneOf":[{"type":"integer"},{"minimum":5}]})", "7",
       "7 does not fit exactly one of the forms that are allowed"},
      {R"({"contains":{"const":1}})", "[2]",
       "an array has no element of the form that one must have"},
      {R"({"$ref":"#/definitions/level","definitions":{"level":{"enum":["a"]}}})", R"("b")",
       R"("b" is not one of "a")"},
      {"false", "1", "1 is not allowed here"},
  };
  for (const auto& [schema, document, words] : cases) {
    CAPTURE(schema);
    CHECK(findings(schema, document) == "(root): " + words);
  }
}

TEST_CASE("JSON Schema: what fits") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"integer"})", "8.0"},
      {R"({"type":"integer","minimum":1,"maximum":1e30})", "18446744073709551615"},
      {R"({"enum":["a",{"b":[1]}]})", R"({"b":[1]})"},
      {R"({"maxLength":3})", R"("äöü")"},
      {R"({"uniqueItems":true})", R"([1,"1",true,[1],{"a":1},{"a":2}])"},
      {R"({"pattern":"b+"})", R"("abbc")"},
      {R"({"pattern":"^[^/]+$"})", R"("öffentlich")"},
      {R"({"patternProperties":{"^x-":{"type":"integer"}},"additionalProperties":false})",
       R"({"x-a":1})"},
      {R"({"if":{"required":["a"]},"then":{"required":["b"]}})", R"({"c":1})"},
      {R"({"properties":{"next":{"$ref":"#"}},"additionalProperties":false})",
       R"({"next":{"next":{}}})"},
      {"true", "null"},
  };
  for (const auto& [schema, document] : cases) {
    CAPTURE(schema);
    CHECK(findings(schema, document) == "valid");
  }
}

TEST_CASE("JSON Schema: conditions and nesting keep their pointers") {
  const std::string schema = R"({"properties":{"pdp":{
      "if":{"required":["kind"],"properties":{"kind":{"const":"folder"}}},
      "then":{"properties":{"folder":{"required":["path"]}}},
      "additionalProperties":{"allOf":[{"minimum":1}]}}},
    "patternProperties":{"^x~":{"type":"null"}}})";
  CHECK(findings(schema, R"({"pdp":{"kind":"folder","folder":{}}})") ==
        "/pdp/folder: \"path\" is required");
  CHECK(findings(schema, R"({"pdp":{"a/b":0}})") == "/pdp/a~1b: 0 is below the minimum of 1");
  CHECK(findings(schema, R"({"x~y":0})") == "/x~0y: 0 is not null");
}

TEST_CASE("JSON Schema: an expression reads one line as a whole") {
  const std::string schema = R"({"pattern":"^[a-z]+$"})";
  CHECK(findings(schema, R"("a\n")") != "valid");
  CHECK(findings(schema, R"("A\na")") != "valid");
  CHECK(findings(R"({"pattern":"^a.b$"})", R"("a\nb")") != "valid");
}

TEST_CASE("JSON Schema: bad schema, bad document, remote reference") {
  CHECK(code("{", "{}") == ErrorCode::kUsage);
  CHECK(code(R"({"type":"nosuch"})", "{}") == ErrorCode::kUsage);
  CHECK(code(R"({"pattern":"("})", "\"\"") == ErrorCode::kUsage);
  CHECK(code(R"({"$ref":"http://127.0.0.1:1/schema.json"})", "{}") == ErrorCode::kUsage);
  CHECK(code(R"({"$ref":"other.json"})", "{}") == ErrorCode::kUsage);
  CHECK(code(R"({"$ref":"#/nowhere"})", "{}") == ErrorCode::kUsage);
  CHECK(code(R"({"$ref":"#"})", "{}") == ErrorCode::kUsage);
  CHECK(code(R"({"allOf":[{"$ref":"#"}]})", "{}") == ErrorCode::kUsage);
  CHECK(code("true", "{") == ErrorCode::kMessage);
  CHECK(code("true", R"({"a":1,"a":2})") == ErrorCode::kMessage);
  CHECK(code("true", std::string(100'000, '[')) == ErrorCode::kMessage);
}

TEST_CASE("JSON Schema: hostile documents cost little and say little") {
  std::string same = "[0";
  for (int i = 0; i < 30'000; ++i) same += ",0";
  const std::string many = findings(R"({"uniqueItems":true,"items":{"minimum":1}})", same + "]");
  CHECK(std::ranges::count(many, '\n') + 1 == limits::kFindingsMax);

  const std::string long_text = fmt::format("\"{}!\"", std::string(1 << 20, 'a'));
  const std::string one = findings(R"({"pattern":"^(([a-z]+)*)+$"})", long_text);
  CHECK(one != "valid");
  CHECK(one.size() < 400);

  std::string manifest = R"({"roots":[)";
  for (int i = 0; i < 10'000; ++i) manifest += "\"a\",";
  manifest += R"("\u0000"],"runtimes":{"A\n":{}},"partitions":{"/":{"runtime":7}}})";
  const std::string refused = findings(schemas::kManifest, manifest);
  CHECK(std::ranges::count(refused, '\n') + 1 == limits::kFindingsMax);
}

TEST_CASE("JSON Schema: what the manifest's schema says to its authors") {
  const std::string refused = findings(schemas::kManifest, R"({"metadata":{"name":""},
    "runtimes":{"Rego":{"language":{"name":"cedar","version":"2"}}},"partitions":{},
    "roots":["a b"],"owner":"me"})");
  for (const char* words :
       {"/metadata/name: \"\" has fewer characters than 1",
        "/runtimes: the name \"Rego\" does not match ^[a-z][a-z0-9_-]{0,31}$",
        "/runtimes/Rego/language/name: \"cedar\" is not \"rego\"",
        "/runtimes/Rego/language/version: \"2\" is not one of \"1\", \"1.0\", \"v1\"",
        "/partitions: \"/\" is required", "/roots/0: \"a b\" does not match",
        "(root): the name \"owner\" is not known; known are $schema, decisions, gate, metadata, "
        "partitions, "
        "roots, runtimes"})
    CHECK_MESSAGE(refused.contains(words), refused);
}
