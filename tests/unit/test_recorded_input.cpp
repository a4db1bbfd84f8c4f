// The input of a record is the one that the engine saw.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "notp-client/decision/decision_limits.hpp"
#include "notp-client/decision/json_reader.hpp"
#include "notp-client/decision/recorded_input.hpp"

namespace notp::decision {
namespace {

using pdp::InputForm;

// The text; "-" without an input, "!" for an error.
std::string found(InputForm form, const pdp::InputText& sent) {
  const auto input = RecordedInput::find(form, sent);
  if (!input) return "!";
  return std::string(input->text().value_or("-"));
}

}  // namespace

TEST_CASE("a body has the last member input, in any case, and may have text behind it") {
  const auto body = [](std::string_view text) { return found(InputForm::kBody, Bytes(text)); };
  CHECK(body(R"({"input": {"a": 1e400}})") == R"({"a": 1e400})");
  CHECK(body(R"({"INPUT": [1], "other": {"input": 2}} trailing)") == "[1]");
  CHECK(body(R"({"input": 1, "input": {"x": 2}})") == R"({"x": 2})");
  CHECK(body(R"({"input": 1, "\u0069nput" : 3 , "inputs": 4})") == "3");
  CHECK(body(R"( {"a":[{"input":1}]} )") == "-");
  CHECK(body(R"({"input": 1, "input": null})") == "-");
  for (const char* text : {"{}", "null", "", " \n", R"({"input":null})"}) CHECK(body(text) == "-");
  for (const char* text : {"[1]", "7", "{\"input\":", "{\"input\":01}", "x"})
    CHECK(body(text) == "!");
  CHECK(found(InputForm::kBody, std::nullopt) == "-");
}

TEST_CASE("a plain body is the input, and an empty one is null") {
  const auto plain = [](std::string_view text) {
    return found(InputForm::kPlainBody, Bytes(text));
  };
  CHECK(plain(R"( {"input": 1} x)") == R"({"input": 1})");
  CHECK(plain("") == "null");
  CHECK(plain("nul") == "!");
  CHECK(found(InputForm::kValue, Bytes(" 1 2")) == " 1 2");
  CHECK(found(InputForm::kValue, std::nullopt) == "-");
}

TEST_CASE("YAML becomes JSON, as far as its reader goes") {
  const auto yaml = [](std::string_view text) { return found(InputForm::kBodyYaml, Bytes(text)); };
  CHECK(yaml("input:\n  a: 0x10\n  b: [x, true]\n") == R"({"a":16,"b":["x",true]})");
  CHECK(yaml("Input: 18446744073709551615") == "18446744073709551615");
  CHECK(yaml("") == "-");
  CHECK(yaml("input: null") == "-");
  CHECK(yaml("- 1") == "!");
  CHECK(yaml("input: &a 1") == "!");
  CHECK(found(InputForm::kPlainBodyYaml, Bytes("a: [1, b]")) == R"({"a":[1,"b"]})");
  CHECK(found(InputForm::kPlainBodyYaml, Bytes()) == "null");
  const std::string large(limits::kRecordedYamlBytesMax + 1, ' ');
  CHECK(RecordedInput::find(InputForm::kBodyYaml, large).error().code == ErrorCode::kLimit);
}

TEST_CASE("escapes of a JSON string") {
  CHECK(unescape_json(R"(\"\\\/\b\f\n\r\t\u0041\u00e4\u20AC\ud83d\ude00)") ==
        "\"\\/\b\f\n\r\tAä€😀");
  CHECK(unescape_json(R"(\ud83dx\ude00\ud83d\ud83d\ude00)") == "�x��😀");
  CHECK(unescape_json(R"(\ud83d\u0041)") == "�A");
}

}  // namespace notp::decision
