// common/json_slices: parts of a JSON text as they are written.
#include <doctest/doctest.h>

#include "common/json_slices.hpp"

using namespace notp;

TEST_CASE("elements are found, and what is another kind of value has none") {
  const auto elements = json_elements("[ 1 , \"]\" ,[[2],3],{} ]");
  REQUIRE(elements);
  CHECK(*elements == std::vector<ByteView>{"1", "\"]\"", "[[2],3]", "{}"});
  CHECK(json_elements(" [ ] ")->empty());
  CHECK_FALSE(json_elements("{}"));
  CHECK_FALSE(json_elements("7"));
}

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
    json_elements(text);
    indent_json(text);
  }
}
