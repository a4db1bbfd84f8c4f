// common/json/json_changes: which values of a document are new.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/json/json_changes.hpp"
#include "common/json/json_members.hpp"
#include "common/limits.hpp"
#include "tests/support/json_reference.hpp"

using namespace notp;

namespace {

std::string changes(std::string_view old_text, std::string_view new_text) {
  const auto found = find_json_changes(old_text, new_text);
  if (!found) return "nothing";
  CHECK(reference::flaw_of(old_text, new_text, *found) == "");
  return *found;
}

std::string records(size_t count, size_t changed, std::string_view name) {
  std::string text = R"({"users":[)";
  for (size_t i = 0; i < count; ++i)
    text += fmt::format(R"({}{{"id":{},"name":"{}","roles":["a","b"]}})", i ? "," : "", i,
                        i == changed ? name : "someone");
  return text + "]}";
}

}  // namespace

TEST_CASE("JSON changes: the deepest value that differs") {
  const std::string filler = R"("filler":"----------------------------------------------------")";
  const std::vector<std::array<std::string, 3>> cases = {
      {R"({"a":1,)" + filler + "}", R"({"a":12,)" + filler + "}", R"([[["a"],12]])"},
      {R"({"a":12,)" + filler + "}", R"({"a":1,)" + filler + "}", R"([[["a"],1]])"},
      {R"([5,)" + std::string(40, '1') + "]", R"([7,)" + std::string(40, '1') + "]",
       R"([[["0"],7]])"},
      {R"({"a":{"b":[1,"x",{}]},)" + filler + "}", R"({"a":{"b":[1,"xy",{}]},)" + filler + "}",
       R"([[["a","b","1"],"xy"]])"},
      {R"({"a":[1,2],)" + filler + "}", R"({"a":[1,2,3],)" + filler + "}", R"([[["a"],[1,2,3]]])"},
      {R"({"a":[1,2,3],)" + filler + "}", R"({"a":[1],)" + filler + "}", R"([[["a"],[1]]])"},
      {R"({"a":{"k":1},)" + filler + "}", R"({"a":{"q":1},)" + filler + "}",
       R"([[["a"],{"q":1}]])"},
      {R"({"a":{},)" + filler + "}", R"({"a":{"k":1},)" + filler + "}", R"([[["a"],{"k":1}]])"},
      {R"({"a":1,)" + filler + "}", R"({"a":{"k":1},)" + filler + "}", R"([[["a"],{"k":1}]])"},
      {R"({"a":1,)" + filler + R"(,"z":1})", R"({"a":2,)" + filler + R"(,"z":3})",
       R"([[["a"],2],[["z"],3]])"},
      {R"({"a":1.50,)" + filler + "}", R"({"a":1e999,)" + filler + "}", R"([[["a"],1e999]])"},
      {R"({"a":1,)" + filler + "}", R"({"a":123456789012345678901234567890,)" + filler + "}",
       R"([[["a"],123456789012345678901234567890]])"},
      {R"({"\u0061/~\"ö":1,)" + filler + "}", R"({"\u0061/~\"ö":"\ud83d\ude00",)" + filler + "}",
       R"([[["a/~\"ö"],"\ud83d\ude00"]])"},
      {R"({"a":"[{\"",)" + filler + "}", R"({"a":"[{\"]",)" + filler + "}", R"([[["a"],"[{\"]"]])"},
      {"{\"a\":1," + filler + "}", "{ \"a\" :\n1 ,\t" + filler + "} ", "[]"},
      {"{\"a\":1," + filler + "}", "{\"a\":1," + filler + "}", "[]"},
      {"1", " 1\n", "[]"},
  };
  for (const auto& [old_text, new_text, wanted] : cases) {
    CAPTURE(new_text);
    CHECK(changes(old_text, new_text) == wanted);
  }
}

TEST_CASE("JSON changes: a name that stands twice makes its object the change") {
  const std::string filler = R"("filler":"----------------------------------------------------")";
  const auto object = [&](std::string_view inner) {
    return fmt::format(R"({{"o":{{{}}},{}}})", inner, filler);
  };
  CHECK(changes(object(R"("a":1,"b":2,"a":3)"), object(R"("a":1,"b":2,"a":4)")) ==
        R"([[["o"],{"a":1,"b":2,"a":4}]])");
  CHECK(changes(object(R"("a":1,"b":2,"\u0061":3)"), object(R"("a":0,"b":2,"\u0061":3)")) ==
        R"([[["o"],{"a":0,"b":2,"\u0061":3}]])");
  // Duplicated, but not on the path.
  CHECK(changes(object(R"("a":1,"b":2,"a":3)"), object(R"("a":1,"b":5,"a":3)")) ==
        R"([[["o","b"],5]])");
  // Duplicated on the path, further up.
  CHECK(changes(object(R"("a":{"x":[1]},"a":3)"), object(R"("a":{"x":[2]},"a":3)")) ==
        R"([[["o"],{"a":{"x":[2]},"a":3}]])");
  CHECK(changes(R"({"a":{"x":[1]},"b":0,"a":3})", R"({"a":{"x":[2]},"b":0,"a":3})") == "nothing");
}

TEST_CASE("JSON changes: what is not worth it, or is not JSON") {
  CHECK(changes("[1]", "[1,2]") == "nothing");
  CHECK(changes("1", "2") == "nothing");
  CHECK(changes(R"({"a":1})", R"({"b":1})") == "nothing");
  CHECK(changes(R"({"a":[1],"b":0})", R"({"a":[1,2,3,4,5,6,7,8,9],"b":0})") == "nothing");
  const std::string filler(100, '7');
  for (const char* const bad :
       {"", "[", "]", "01", "1.", "+1", "tru", "nul", "\"\\x\"", "\"a", "1 2", "\"\x01\"",
        "\"\xff\"", "[1,]", "{\"a\"}", "[1}", "{\"a\":1,}"}) {
    CAPTURE(bad);
    CHECK(changes("[0," + filler + "]", fmt::format("[{},{}]", bad, filler)) == "nothing");
    CHECK(changes("[{\"k\":0}," + filler + "]", fmt::format("[{{\"k\":{}}},{}]", bad, filler)) ==
          "nothing");
  }
  CHECK(changes("[0," + filler + "]", "[0," + filler) == "nothing");
  CHECK(changes("[0," + filler + "]", "[0," + filler + "]]") == "nothing");
}

TEST_CASE("JSON changes: one record of many, and too many records") {
  const auto found = find_changed_members(records(1000, 1000, ""), records(1000, 500, "Eve"));
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  CHECK(found->front().path == std::vector<std::string>{"users", "500", "name"});
  CHECK(records(1000, 500, "Eve").substr(found->front().offset, found->front().size) == R"("Eve")");

  std::string ones = "{\"few\":[";
  for (int i = 0; i < 5000; ++i) ones += "1,";
  ones += "1],\"rest\":\"" + std::string(20'000, 'x') + "\"}";
  std::string edited = ones;
  for (size_t i = 0; i < limits::kJsonChangesMax; ++i) edited[8 + 4 * i] = '2';
  const auto many = find_changed_members(ones, edited);
  REQUIRE(many);
  CHECK(many->size() == limits::kJsonChangesMax);
  edited[8 + 4 * limits::kJsonChangesMax] = '2';
  const auto whole = find_changed_members(ones, edited);
  REQUIRE(whole);
  REQUIRE(whole->size() == 1);
  CHECK(whole->front().path == std::vector<std::string>{"few"});
}

TEST_CASE("JSON changes: depth and size are bounded") {
  const auto nested = [](size_t depth, char inner) {
    return "[" + std::string(depth, '[') + inner + std::string(depth, ']') + "," +
           std::string(2000, '1') + "]";
  };
  CHECK(changes(nested(limits::kJsonDepthMax - 1, '1'), nested(limits::kJsonDepthMax - 1, '2')) !=
        "nothing");
  CHECK(changes(nested(limits::kJsonDepthMax, '1'), nested(limits::kJsonDepthMax, '2')) ==
        "nothing");
  CHECK(changes(nested(500'000, '1'), nested(500'000, '2')) == "nothing");
  const std::string large(limits::kJsonChangesBytesMax, ' ');
  CHECK(changes("[1,2]" + large, "[1,3]" + large) == "nothing");
}

TEST_CASE("JSON elements: the bytes of each, and nothing of what is not one array") {
  const auto elements = json_elements("[ 1 , \"]\" ,[[2],3],{} ]");
  REQUIRE(elements);
  CHECK(*elements == std::vector<ByteView>{"1", "\"]\"", "[[2],3]", "{}"});
  CHECK(json_elements(" [ ] ")->empty());
  CHECK_FALSE(json_elements("{}"));
  CHECK_FALSE(json_elements("7"));
  for (const std::string_view bad :
       {"", "[", "[1", "[1,", "[1,]", "[,]", "]", "[1] 2", "[1]]", "[1:2]", "[{]", "[\"\\"})
    CHECK_MESSAGE(!json_elements(bad), std::string(bad));
}

TEST_CASE("JSON members: the bytes of each value, and nothing of what is not one object") {
  const auto shown = [](std::string_view text) -> std::string {
    const auto members = json_members(text);
    if (!members) return "nothing";
    std::string out;
    for (const auto& [name, value] : *members) {
      out += name;
      out += "=";
      out += value;
      out += ";";
    }
    return out;
  };
  CHECK(shown("{}") == "");
  CHECK(shown(" { } \n") == "");
  CHECK(shown(R"({"a": 1e400 , "b" :[1, {"c": "}"}],"a":{"x" : [ ]} })") ==
        R"(a=1e400;b=[1, {"c": "}"}];a={"x" : [ ]};)");
  CHECK(shown(R"({"q\"\u0061": "\\", "":null})") == R"(q\"\u0061="\\";=null;)");
  for (const std::string_view bad : {"",
                                     " ",
                                     "[]",
                                     "1",
                                     "\"a\"",
                                     "null",
                                     "{",
                                     "}",
                                     "{]",
                                     "{\"a\"}",
                                     "{\"a\":}",
                                     "{\"a\":1,}",
                                     "{,}",
                                     "{\"a\" 1}",
                                     "{a:1}",
                                     "{\"a\":1 2}",
                                     "{\"a\":1}}",
                                     "{\"a\":1}{}",
                                     "{\"a\":1} x",
                                     "{\"a\":[1}",
                                     "{\"a\":1",
                                     "{\"a\":[}",
                                     "{\"a\":{\"b\":1}",
                                     "{\"a\"x:1}",
                                     "{\"a\":\"\xff\"}",
                                     "{\"a\":\"b}",
                                     "{\"a\"::1}",
                                     "{1:1}"}) {
    CAPTURE(bad);
    CHECK(shown(bad) == "nothing");
  }
  const auto members = json_members(R"({"a": 1, "b": 2, "a": 3})");
  REQUIRE(members);
  CHECK(json_member(*members, "a") == "3");
  CHECK(json_member(*members, "b") == "2");
  CHECK_FALSE(json_member(*members, "c"));
}

TEST_CASE("values at any depth of one text are walked after one look for its tokens") {
  const Bytes text = R"( {"list": [ {"a": {"b": "},{"}} , [], 7 ], "a": {}} )";
  const auto outline = JsonOutline::find(text);
  REQUIRE(outline);
  const auto top = outline->members(text);
  REQUIRE(top);
  const auto list = outline->elements(json_member(*top, "list").value());
  REQUIRE(list);
  REQUIRE(list->size() == 3);
  const auto first = outline->members(list->at(0));
  REQUIRE(first);
  const auto inner = outline->members(json_member(*first, "a").value());
  REQUIRE(inner);
  CHECK(json_member(*inner, "b") == R"("},{")");
  CHECK(outline->elements(list->at(1))->empty());
  CHECK_FALSE(outline->members(list->at(2)));
  CHECK_FALSE(outline->members(list->at(1)));
  CHECK(outline->members(json_member(*top, "a").value())->empty());
  CHECK_FALSE(JsonOutline::find("\xff"));
}
