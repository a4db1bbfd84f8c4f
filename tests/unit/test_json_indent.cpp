// common/json/json_indent
#include <doctest/doctest.h>

#include "common/json/json_indent.hpp"

using namespace notp;

TEST_CASE("indenting changes white space alone") {
  CHECK(
      indent_json(R"({"a":[1,2,{}],"b":{"c":"x: {,}\\\""},"n":12345678901234567890123,"e":[]})") ==
      "{\n  \"a\": [\n    1,\n    2,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"x: {,}\\\\\\\"\"\n  "
      "},\n"
      "  \"n\": 12345678901234567890123,\n  \"e\": []\n}");
  CHECK(indent_json(" [ ] ") == "[]");
  CHECK(indent_json("true") == "true");
  CHECK(indent_json("{ \"a\" : { } }") == "{\n  \"a\": {}\n}");
}

TEST_CASE("a text that is not JSON is taken without harm") {
  for (const std::string_view text : {"{", "[", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1",
                                      "[1,", "]", "}}", "\"\\", "{,}", "{\"a\" 1}", "[\"\\"}) {
    indent_json(text);
  }
}
