// What of a decision never reaches its record.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "notp-client/decision/decision_limits.hpp"
#include "notp-client/decision/jws_signatures.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::decision {
namespace {

using model::MaskOp;
using model::MaskPart;
using Pointers = std::vector<std::string>;

// {"alg":"HS256","typ":"JWT"} and {"sub":"ada"}
const std::string kHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const std::string kPayload = "eyJzdWIiOiJhZGEifQ";
const std::string kUnsigned = kHeader + "." + kPayload + ".";
const std::string kSignature = "c2lnbmF0dXJlX19fX19fX19fX19fX19fX19fX19fXw";
const std::string kJws = kUnsigned + kSignature;

model::MaskRule remove(std::string pointer) { return {MaskOp::kRemove, std::move(pointer), {}}; }
model::MaskRule upsert(std::string pointer, Bytes value) {
  return {MaskOp::kUpsert, std::move(pointer), std::move(value)};
}
model::MaskRule commit(std::string pointer) { return {MaskOp::kCommit, std::move(pointer), {}}; }

MaskRules rules_of(const std::vector<model::MaskRule>& terms) {
  auto rules = MaskRules::from_terms(terms);
  REQUIRE_MESSAGE(rules.has_value(), rules.error().message);
  return *std::move(rules);
}

struct Masked {
  std::optional<Bytes> text;
  MaskLists lists;
  uint64_t matched = 0;
};

Masked masked_by(const MaskRules& rules, ByteView text, MaskPart part = MaskPart::kInput) {
  SeededRandom random(7);
  const std::vector<const MaskRules*> sets = {&rules};
  LogMask mask(sets, random);
  auto masked = mask.apply(part, text);
  REQUIRE_MESSAGE(masked.has_value(), masked.error().message);
  return {*std::move(masked), mask.lists(), mask.matched(0)};
}

Masked mask_with(const std::vector<model::MaskRule>& terms, ByteView text,
                 MaskPart part = MaskPart::kInput) {
  return masked_by(rules_of(terms), text, part);
}

Masked apply_policy(std::string_view rules, ByteView text, MaskPart part = MaskPart::kInput) {
  const auto compiled = MaskRules::from_policy(rules);
  REQUIRE_MESSAGE(compiled.has_value(), compiled.error().message);
  return masked_by(*compiled, text, part);
}

// The text without any rule.
Bytes plain(ByteView text, MaskPart part = MaskPart::kInput) {
  return masked_by(MaskRules(), text, part).text.value();
}

Error failure(ByteView text) {
  SeededRandom random(7);
  auto masked = LogMask({}, random).apply(MaskPart::kInput, text);
  REQUIRE_FALSE(masked);
  return masked.error();
}

}  // namespace

TEST_CASE("a text is only compacted: numbers, escapes, order and repeated names stay") {
  for (const char* text :
       {"null", "true", "-0", "0.10", "1e400", "-1E-400", "12345678901234567890123", "1.0e+5",
        R"("")", "[]", "{}", R"({"b":1,"a":2,"b":3})", R"("\u0041\/\ud83d\ude00\"\\\b")",
        R"(["größe","\ufffd"])", R"({"":{"":[[],{}]}})"}) {
    CAPTURE(text);
    CHECK(plain(text) == text);
  }
  CHECK(plain(" \n{ \"a\" : [ 1 ,\t2 , { } , [ ] ] ,\r\n \"b c\" : \" x \" } \n") ==
        R"({"a":[1,2,{},[]],"b c":" x "})");
}

TEST_CASE("half a surrogate pair is recorded as the engine reads it") {
  CHECK(plain(R"(["\ud800","\udc00\ud83d\ude00","\ud83dx\uD83D\ud83d\uDE00","\\ud800"])") ==
        R"(["\ufffd","\ufffd\ud83d\ude00","\ufffdx\ufffd\ud83d\uDE00","\\ud800"])");
  CHECK(plain(R"({"\ud800":1})") == R"({"\ufffd":1})");
}

TEST_CASE("what is not JSON is refused with its place") {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1",
                           "[1,",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1,",
                           "{\"a\":1,}",
                           "[1,]",
                           "[,1]",
                           "{,}",
                           "nul",
                           "nulls",
                           "01",
                           "1.",
                           ".5",
                           "+1",
                           "1e",
                           "-",
                           "0x1",
                           "NaN",
                           "\"",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"\\u12\"",
                           "\"\n\"",
                           "1 2",
                           "{} {}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "'a'",
                           "[1 2]",
                           "{\"a\":1 \"b\":2}",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "{\"\xff\":1}",
                           "\xef\xbb\xbf{}",
                           "[1}",
                           "{\"a\":1]",
                           "// x\n1"}) {
    CAPTURE(text);
    const Error error = failure(text);
    CHECK(error.code == ErrorCode::kMessage);
    CHECK(error.message.starts_with("line "));
  }
  CHECK(failure("{\"a\":\n [1, x]}").message.starts_with("line 2, column 6"));
  CHECK(failure(std::string("\"\0\"", 3)).code == ErrorCode::kMessage);
}

TEST_CASE("depth and size have limits") {
  const auto nested = [](size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };
  CHECK(plain(nested(limits::kJsonDepthMax)) == nested(limits::kJsonDepthMax));
  CHECK(failure(nested(limits::kJsonDepthMax + 1)).message.contains("deeper than 100 levels"));
  CHECK(failure(std::string(1'000'000, '[')).code == ErrorCode::kMessage);
  CHECK(failure(std::string(limits::kRecordBytesMax, ' ') + "1").code == ErrorCode::kLimit);
  // A small value in many places becomes a large text.
  std::string zeros = "[0";
  for (int i = 0; i < 100'000; ++i) zeros += ",0";
  SeededRandom random(7);
  const MaskRules rules = rules_of({upsert("/input/*", "\"" + std::string(400, 'x') + "\"")});
  const std::vector<const MaskRules*> sets = {&rules};
  CHECK(LogMask(sets, random).apply(MaskPart::kInput, zeros + "]").error().code ==
        ErrorCode::kLimit);
}

TEST_CASE("a rule removes members and elements, commas included") {
  const auto removed = [](std::string pointer, ByteView text) {
    return mask_with({remove(std::move(pointer))}, text).text.value();
  };
  CHECK(removed("/input/a", R"({"a":1,"b":2,"c":3})") == R"({"b":2,"c":3})");
  CHECK(removed("/input/b", R"({"a":1 , "b":2 , "c":3})") == R"({"a":1,"c":3})");
  CHECK(removed("/input/c", R"({"a":1,"b":2,"c":[{"x":1}]})") == R"({"a":1,"b":2})");
  CHECK(removed("/input/a", R"({"a":1})") == "{}");
  CHECK(removed("/input/*", R"({"a":1, "b":{} , "c":[]})") == "{}");
  CHECK(removed("/input/0", "[1, 2, 3]") == "[2,3]");
  CHECK(removed("/input/2", "[1, 2, 3]") == "[1,2]");
  CHECK(removed("/input/*", "[1, 2, 3]") == "[]");
  CHECK(removed("/input/*/x", R"([{"x":1},{"y":2,"x":3},4])") == R"([{},{"y":2},4])");
  CHECK(removed("/input/a/b/c", R"({"a":{"b":{"c":1,"d":2}}})") == R"({"a":{"b":{"d":2}}})");
  CHECK(removed("/input/a", R"({"a":1,"a":2,"b":3,"a":4})") == R"({"b":3})");
  CHECK_FALSE(mask_with({remove("/input")}, R"({"a":1})").text);
  CHECK(mask_with({remove("/input")}, R"({"a":1})").lists.erased == Pointers{"/input"});
}

TEST_CASE("a pointer means what RFC 6901 says, and names are compared without their escapes") {
  const auto matches = [](std::string pointer, ByteView text) {
    return !mask_with({remove(std::move(pointer))}, text).lists.erased.empty();
  };
  CHECK(matches("/input/password", R"({"pass\u0077ord":1})"));
  CHECK(matches("/input/password", R"({"\u0070\u0061\u0073\u0073\u0077\u006F\u0072\u0064":1})"));
  CHECK(matches("/input/a~1b", R"({"a/b":1})"));
  CHECK(matches("/input/a~1b", R"({"a\/b":1})"));
  CHECK(matches("/input/a~0b", R"({"a~b":1})"));
  CHECK(matches("/input/~01", R"({"~1":1})"));
  CHECK(matches("/input/", R"({"":1})"));
  CHECK(matches("/input/😀", R"({"\ud83d\ude00":1})"));
  CHECK(matches("/input/größe", R"({"gr\u00f6\u00dfe":1})"));
  CHECK(matches("/input/�", R"({"\ud83d":1})"));
  CHECK(matches("/input/1", R"({"1":1})"));
  CHECK_FALSE(matches("/input/a", R"({"A":1})"));
  CHECK_FALSE(matches("/input/a/b", R"({"a":[{"b":1}]})"));
  CHECK_FALSE(matches("/input/01", "[1,2]"));
  CHECK_FALSE(matches("/input/-", "[1,2]"));
  CHECK_FALSE(matches("/input/2", "[1,2]"));
  CHECK_FALSE(matches("/input/*", "7"));
  CHECK_FALSE(matches("/result/a", R"({"a":1})"));
  // '*' is one level, no more.
  CHECK(mask_with({remove("/input/*/k")}, R"({"k":1,"a":{"k":2,"b":{"k":3}}})").text ==
        R"({"k":1,"a":{"b":{"k":3}}})");
}

TEST_CASE("an upsert replaces what is there; nothing is added to what a manifest masks") {
  CHECK(
      mask_with({upsert("/input/a", R"({"x": 12345678901234567890123})")}, R"({"a":[1,{}],"b":1})")
          .text == R"({"a":{"x":12345678901234567890123},"b":1})");
  CHECK(mask_with({upsert("/input/*/n", "\"**\"")}, R"([{"n":1},{"m":1},{"n":{"n":2}}])").text ==
        R"([{"n":"**"},{"m":1},{"n":"**"}])");
  CHECK(mask_with({upsert("/input/a", "1")}, "{}").text == "{}");
  CHECK(mask_with({upsert("/input", "1")}, R"({"a":2})").text == "1");
}

TEST_CASE("a commitment is opened by who has the value, and by nobody else") {
  const auto one = mask_with({commit("/input/user/iban")},
                             R"({"user": {"iban": {"no": "DE02 \u0031", "n": 1.50}, "x": 1}})");
  CHECK(one.text == R"({"user":{"iban":null,"x":1}})");
  CHECK(one.lists.erased.empty());
  CHECK(one.lists.masked.empty());
  REQUIRE(one.lists.commitments.size() == 1);
  const record::Commitment& made = one.lists.commitments[0];
  CHECK(made.pointer == "/input/user/iban");
  CHECK(made.salt.size() == 16);
  CHECK(made.hmac == hmac_sha256(made.salt, R"({"no":"DE02 \u0031","n":1.50})"));
  CHECK(made.hmac != hmac_sha256(made.salt, R"({"no":"DE02 1","n":1.50})"));
  // Equal values are not recognised by each other: each has a salt.
  const auto two = mask_with({commit("/input/*")}, R"(["same","same"])");
  CHECK(two.text == "[null,null]");
  REQUIRE(two.lists.commitments.size() == 2);
  CHECK(two.lists.commitments[0].salt != two.lists.commitments[1].salt);
  CHECK(two.lists.commitments[0].hmac != two.lists.commitments[1].hmac);
  // The value that is committed to is the caller's, tokens and all.
  const auto token = mask_with({commit("/input/t")}, R"({"t":")" + kJws + "\"}");
  CHECK(token.lists.commitments.at(0).hmac ==
        hmac_sha256(token.lists.commitments[0].salt, "\"" + kJws + "\""));
}

TEST_CASE("RFC 4231: test cases 1, 2 and 6") {
  CHECK(to_hex(hmac_sha256(Bytes(20, '\x0b'), "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(to_hex(hmac_sha256(Bytes(131, '\xaa'),
                           "Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("of several rules remove comes first, then commit, then the last upsert") {
  const std::vector<model::MaskRule> all = {upsert("/input/a", "1"), upsert("/input/*", "2"),
                                            commit("/input/a"), remove("/input/a")};
  CHECK(mask_with(all, R"({"a":0,"b":0})").text == R"({"b":2})");
  CHECK(mask_with({all[0], all[1]}, R"({"a":0})").text == R"({"a":2})");
  CHECK(mask_with({all[2], all[1]}, R"({"a":0})").text == R"({"a":null})");
  // What contains it goes as a whole; the inner rule has matched all the same.
  const auto outer = mask_with({remove("/input/a"), commit("/input/a/b")}, R"({"a":{"b":1}})");
  CHECK(outer.text == "{}");
  CHECK(outer.lists.erased == Pointers{"/input/a"});
  CHECK(outer.lists.commitments.empty());
  CHECK(outer.matched == 3);
}

TEST_CASE("rules that matched are told from those that did not") {
  const auto masked =
      mask_with({remove("/input/a"), remove("/input/typo"), upsert("/input/b/*", "0"),
                 commit("/result/a"), remove("/input/b/9")},
                R"({"a":1,"b":[1,2]})");
  CHECK(masked.matched == 0b00101);
}

TEST_CASE("what was masked is listed by pointers, each with its real place") {
  const auto masked =
      mask_with({remove("/input/a/*/s"), upsert("/input/m~1n", "0")},
                R"({"a":[{"s":1},{},{"s":2}],"m/n":1,"b":{"Cookie":"x","~":["e"]}})");
  CHECK(masked.lists.erased == Pointers{"/input/a/0/s", "/input/a/2/s"});
  CHECK(masked.lists.masked == Pointers{"/input/m~1n", "/input/b/Cookie"});
  CHECK(masked.lists.unnamed == 0);
}

TEST_CASE("the lists have a limit, however much is masked, and however long names are") {
  std::string many = "[0";
  for (size_t i = 1; i < 1'000; ++i) many += ",0";
  const auto masked = mask_with({commit("/input/*")}, many + "]");
  CHECK(masked.lists.commitments.size() == limits::kMaskedPathsMax);
  CHECK(masked.lists.unnamed == 1'000 - limits::kMaskedPathsMax);
  CHECK_FALSE(masked.text->contains('0'));
  const std::string name(limits::kMaskedPathBytesMax, 'n');
  const auto lengthy = mask_with({}, "{\"" + name + R"(":{"cookie":"secret","x":1}})");
  CHECK(lengthy.text == "{\"" + name + R"(":{"cookie":"","x":1}})");
  CHECK(lengthy.lists.masked.empty());
  CHECK(lengthy.lists.unnamed == 1);
}

TEST_CASE("a JWS loses its signature wherever it is") {
  const auto stripped = [](const std::string& text) { return plain("\"" + text + "\""); };
  const auto is = [](const std::string& text) { return "\"" + text + "\""; };
  CHECK(stripped(kJws) == is(kUnsigned));
  CHECK(stripped("Bearer " + kJws) == is("Bearer " + kUnsigned));
  CHECK(stripped("https://x/?token=" + kJws + "&a=b") ==
        is("https://x/?token=" + kUnsigned + "&a=b"));
  CHECK(stripped("x-" + kJws + " and " + kJws + ".") ==
        is("x-" + kUnsigned + " and " + kUnsigned + "."));
  CHECK(stripped("prefix_" + kJws) == is("prefix_" + kUnsigned));
  CHECK(stripped("a.b." + kJws) == is("a.b." + kUnsigned));
  // JSON in a string, once and twice, and escapes in place of letters, dots and signature.
  CHECK(stripped(R"({\"t\":\")" + kJws + R"(\"})") == is(R"({\"t\":\")" + kUnsigned + R"(\"})"));
  CHECK(stripped(R"({\\\"t\\\":\\\")" + kJws + R"(\\\"})") ==
        is(R"({\\\"t\\\":\\\")" + kUnsigned + R"(\\\"})"));
  const std::string tail = kHeader.substr(1) + "." + kPayload + ".";
  CHECK(stripped("\\u0065" + tail + kSignature) == is("\\u0065" + tail));
  CHECK(stripped("\\\\u0065" + tail + kSignature) == is("\\\\u0065" + tail));
  CHECK(stripped("\\\\\\\\u0065" + tail + kSignature) == is("\\\\\\\\u0065" + tail));
  CHECK(stripped(kHeader + "\\u002e" + kPayload + "\\u002E" + kSignature) ==
        is(kHeader + "\\u002e" + kPayload + "\\u002E"));
  CHECK(stripped(kUnsigned + "c2\\u006cnbm\\u0046") == is(kUnsigned));
  CHECK(stripped(kUnsigned + "c2\\u006c\\n") == is(kUnsigned + "\\n"));
  CHECK(stripped(kJws + "\\\\") == is(kUnsigned + "\\\\"));
  // A header with space; a detached payload; the parts of a JWE behind its key.
  CHECK(stripped("eyAiYWxnIjogIkhTMjU2IiB9.e30.c2ln") == is("eyAiYWxnIjogIkhTMjU2IiB9.e30."));
  CHECK(stripped("ewogImFsZyI6Im5vbmUifQo.e30.c2ln") == is("ewogImFsZyI6Im5vbmUifQo.e30."));
  CHECK(stripped(kHeader + ".." + kSignature) == is(kHeader + ".."));
  CHECK(stripped(kHeader + ".a2V5.aXY.Y2lwaGVy.dGFn") == is(kHeader + ".a2V5."));
}

TEST_CASE("a JWS is found in names, deep inside, and listed") {
  const auto masked =
      mask_with({}, R"({"a":[{"b":")" + kJws + R"("}],")" + kJws + R"(":{"cookie":"c"}})");
  CHECK(masked.text ==
        R"({"a":[{"b":")" + kUnsigned + R"("}],")" + kUnsigned + R"(":{"cookie":""}})");
  CHECK(masked.lists.masked ==
        Pointers{"/input/a/0/b", "/input/" + kUnsigned, "/input/" + kUnsigned + "/cookie"});
}

TEST_CASE("what is no JWS stays") {
  for (const std::string& text :
       {std::string("keyIndex.foo.bar"), std::string("eyes.wide.shut"), std::string("10.0.0.1"),
        kUnsigned, kHeader + "." + kPayload, std::string("eyJ.eyJ.eyJ"), kHeader + ". x.y",
        std::string("a.b.c.d"), std::string("..."), std::string("W10.e30.c2ln"),
        kHeader.substr(0, kHeader.size() - 1) + ".e30.c2ln", std::string("e30.e30.c2ln")}) {
    CAPTURE(text);
    CHECK(plain("\"" + text + "\"") == "\"" + text + "\"");
  }
}

TEST_CASE("the search for tokens is linear in hostile text") {
  std::string headers, dots, spaces = "eyJ9";
  for (int i = 0; i < 100'000; ++i) headers += "eyJ9";
  for (int i = 0; i < 400'000; ++i) dots += "e.";
  for (int i = 0; i < 100'000; ++i) spaces += "ICAg";
  for (const std::string& text : {headers + ".e30.c2ln", dots, headers + spaces + ".e30.c2ln"})
    CHECK(find_jws_signatures(text, false) == find_jws_signatures(text, true));
}

TEST_CASE("headers that prove an identity lose their value") {
  for (const char* name : {"authorization", "Authorization", "AUTHORIZATION", "proxy-authorization",
                           "Proxy_Authorization", "cookie", "Set-Cookie", "set_cookie", "Txn-Token",
                           "TXN_TOKEN", "\\u0061uthorization", "txn\\u002dtoken"}) {
    CAPTURE(name);
    CHECK(plain(fmt::format(R"({{"h":{{"{}":"Basic c2VjcmV0"}}}})", name)) ==
          fmt::format(R"({{"h":{{"{}":""}}}})", name));
    CHECK(plain(fmt::format(R"([{{"{}":[ "a", "b" ],"x":1}}])", name)) ==
          fmt::format(R"([{{"{}":["",""],"x":1}}])", name));
  }
  // Other values may be needed to understand a decision; tokens in them are masked as everywhere.
  const std::string object = R"({"authorization":{"type":"basic","t":")";
  CHECK(plain(object + kJws + "\"}}") == object + kUnsigned + "\"}}");
  CHECK(plain(R"({"cookie":[1,["x"],{"cookie":"y"},"z"],"cookies":"n","cookie":null})") ==
        R"({"cookie":[1,["x"],{"cookie":""},""],"cookies":"n","cookie":null})");
  const auto masked = mask_with({}, R"({"authorization":"x","Cookie":["y"],"cookie":""})");
  CHECK(masked.lists.masked == Pointers{"/input/authorization", "/input/Cookie/0"});
  // A manifest may say more about it.
  CHECK(mask_with({remove("/input/cookie")}, R"({"cookie":"x"})").text == "{}");
}

TEST_CASE("arguments in nd_builtin_cache are masked inside of their text") {
  const Bytes cache =
      R"({"http.send":{"[{\"url\":\"https://x\", \"headers\":{\"Authorization\":\"Basic c2VjcmV0\"}}]":)"
      R"({"headers":{"set-cookie":["id=secret"]},"raw_body":")" +
      kJws + R"("}},"io.jwt.decode_verify":{"[\")" + kJws +
      R"(\",{\"iss\":\"i\"}]":[true,{},{}]},"time.now_ns":{"[]":12345678901234567890}})";
  const auto masked =
      mask_with({remove("/nd_builtin_cache/*/*/nothing")}, cache, MaskPart::kNdCache);
  CHECK(masked.text ==
        R"({"http.send":{"[{\"url\":\"https://x\",\"headers\":{\"Authorization\":\"\"}}]":)"
        R"({"headers":{"set-cookie":[""]},"raw_body":")" +
            kUnsigned + R"("}},"io.jwt.decode_verify":{"[\")" + kUnsigned +
            R"(\",{\"iss\":\"i\"}]":[true,{},{}]},"time.now_ns":{"[]":12345678901234567890}})");
  CHECK_FALSE(masked.text->contains("secret"));
  for (const std::string& pointer : masked.lists.masked) {
    CAPTURE(pointer);
    CHECK_FALSE(pointer.contains("c2VjcmV0"));
    CHECK_FALSE(pointer.contains(kSignature));
  }
  // Names that are not JSON, and of other levels, stay.
  CHECK(plain(R"({"a":{"{\"cookie\"":1,"x":{"{\"cookie\":\"k\"}":1}}})", MaskPart::kNdCache) ==
        R"({"a":{"{\"cookie\"":1,"x":{"{\"cookie\":\"k\"}":1}}})");
  CHECK(mask_with({remove("/nd_builtin_cache/http.send")}, cache, MaskPart::kNdCache)
            .text->starts_with(R"({"io.jwt)"));
}

TEST_CASE("OPA's rules match what OPA misses") {
  const auto removed = [](std::string_view path, ByteView text) {
    const auto masked = apply_policy(fmt::format(R"(["{}"])", path), text);
    return masked.text == "{}" && masked.matched == 1;
  };
  CHECK(removed("/input/password", R"({"password":1})"));
  CHECK(removed("/input/e mail", R"({"e mail":1})"));
  CHECK(removed("/input/e%20mail", R"({"e mail":1})"));
  CHECK(removed("/input/e mail", R"({"e%20mail":1})"));  // what OPA does
  CHECK(removed("/input/größe", R"({"größe":1})"));
  CHECK(removed("/input/größe", R"({"gr\u00f6\u00dfe":1})"));
  CHECK(removed("/input/gr%C3%B6%C3%9Fe", R"({"größe":1})"));
  CHECK(removed("/input/a;b", R"({"a;b":1})"));
  CHECK(removed("/input/a%2Fb", R"({"a/b":1})"));
  CHECK(removed("/input/a%2Fb", R"({"a%2Fb":1})"));
  CHECK(removed("/input/a~1b", R"({"a/b":1})"));
  CHECK(removed("/input/a~1b", R"({"a~1b":1})"));
  CHECK(removed("/input/*", R"({"*":1})"));
  CHECK_FALSE(removed("/input/*", R"({"a":1})"));
  CHECK_FALSE(removed("/input/passwrod", R"({"password":1})"));
  CHECK(apply_policy(R"(["/input/+01"])", "[1,2]").text == "[1]");
  CHECK_FALSE(apply_policy(R"(["/input"])", "[1,2]").text);
  CHECK(apply_policy(R"([{"op":"remove","path":"/result/a"}, {"op":"upsert","path":"/result/b",
        "value": {"k": 1e400}}])",
                     R"({"a":1,"b":2})", MaskPart::kResult)
            .text == R"({"b":{"k":1e400}})");
  // Without a value it is null, as in OPA.
  CHECK(apply_policy(R"([{"op":"upsert","path":"/input/a"}])", R"({"a":1})").text ==
        R"({"a":null})");
}

TEST_CASE("OPA's upsert adds what is missing") {
  const auto added = [](std::string_view rules, ByteView text) {
    return apply_policy(rules, text).text.value();
  };
  const std::string_view one = R"([{"op":"upsert","path":"/input/a/b","value":1}])";
  CHECK(added(one, "{}") == R"({"a":{"b":1}})");
  CHECK(added(one, R"({"x":0})") == R"({"x":0,"a":{"b":1}})");
  CHECK(added(one, R"({"a":{"c":2}})") == R"({"a":{"c":2,"b":1}})");
  CHECK(added(one, R"({"a":{"b":2}})") == R"({"a":{"b":1}})");
  CHECK(added(one, R"({"a":null})") == R"({"a":null})");
  CHECK(added(one, R"({"a":[]})") == R"({"a":[]})");
  CHECK(added(one, "7") == "7");
  CHECK(added(R"([{"op":"upsert","path":"/input/a/b","value":1},
                  {"op":"upsert","path":"/input/c","value":2},
                  {"op":"upsert","path":"/input/a/d","value":3},
                  {"op":"upsert","path":"/input/c","value":4}])",
              "{}") == R"({"a":{"b":1,"d":3},"c":4})");
  CHECK(added(R"(["/input/x",{"op":"upsert","path":"/input/y","value":1}])", R"({"x":0})") ==
        R"({"y":1})");
  // A rule may have been made from what it replaces.
  CHECK(added(R"([{"op":"upsert","path":"/input/)" + kJws + R"(","value":{ "x": ")" + kJws +
                  R"("}}])",
              "{}") == R"({")" + kUnsigned + R"(":{"x":")" + kUnsigned + R"("}})");
  CHECK(apply_policy(one, "{}").lists.masked == Pointers{"/input/a/b"});
}

TEST_CASE("OPA's rules that OPA refuses are an error, and so are too many") {
  for (const char* rules :
       {"{}", "7", "\"/input/a\"", "[7]", "[null]", R"([""])", R"(["input/a"])", R"(["/inputs/a"])",
        R"(["/input/%zz"])", R"([{"path":"/input/a"}])", R"([{"op":"","path":"/input/a"}])",
        R"([{"op":"replace","path":"/input/a"}])", R"([{"op":"commit","path":"/input/a"}])",
        R"([{"op":"remove"}])", R"([{"op":"remove","path":7}])", "[", ""}) {
    CAPTURE(rules);
    const auto compiled = MaskRules::from_policy(rules);
    REQUIRE_FALSE(compiled);
    CHECK(compiled.error().code == ErrorCode::kMessage);
  }
  std::string many = R"(["/input/a")";
  for (size_t i = 1; i < limits::kMaskRulesMax; ++i) many += R"(,"/input/a")";
  CHECK(MaskRules::from_policy(many + "]"));
  CHECK(MaskRules::from_policy(many + R"(,"/input/a"])").error().code == ErrorCode::kLimit);
  const std::string lengthy(limits::kMaskRuleBytesMax, 'a');
  CHECK(MaskRules::from_policy("[\"/input/" + lengthy + "\"]").error().code == ErrorCode::kLimit);
}

TEST_CASE("masking what is masked changes nothing") {
  const std::vector<model::MaskRule> rules = {remove("/input/a/*/s"), upsert("/input/b", "[1]"),
                                              commit("/input/c")};
  const Bytes text = R"({"a":[{"s":1,"t":2}],"b":")" + kJws + R"(","c":{"d":1},"d":")" + kJws +
                     R"(","Cookie":["x","y"]})";
  const auto once = mask_with(rules, text).text.value();
  CHECK(mask_with(rules, once).text == once);
}

TEST_CASE("other JSON of a record is masked by what always holds") {
  CHECK(LogMask::apply_built_in(R"({ "cookie" : "x", "t" : ")" + kJws + "\" }") ==
        R"({"cookie":"","t":")" + kUnsigned + "\"}");
  CHECK_FALSE(LogMask::apply_built_in("{"));
  CHECK(without_jws_signatures("bad token " + kJws + ", \\u0065") ==
        "bad token " + kUnsigned + ", \\u0065");
}

TEST_CASE(
    "a token at a configured place is recorded as its id, once and wherever its text has escapes") {
  const std::vector<std::string> places = {"/token", "/tokens/*", "/context/bearer"};
  const auto rules = MaskRules::for_tokens(places);
  REQUIRE(rules);
  const auto id = [](std::string_view token) {
    return fmt::format(R"({{"id":"{}"}})", feed::token_id(token).hex());
  };
  const Masked masked =
      masked_by(*rules, R"({"token":"op\u0061que","tokens":["a","b"],"context":{"bearer":")" +
                            kJws + R"("},"other":"opaque","rest":1})");
  CHECK(*masked.text == fmt::format(R"({{"token":{},"tokens":[{},{}],"context":{{"bearer":{}}},)"
                                    R"("other":"opaque","rest":1}})",
                                    id("opaque"), id("a"), id("b"), id(kJws)));
  CHECK(masked.lists.masked ==
        Pointers{"/input/token", "/input/tokens/0", "/input/tokens/1", "/input/context/bearer"});
  // What was named before stays; what is no text has no id.
  const Masked again = masked_by(*rules, fmt::format(R"({{"token":{}}})", id("opaque")));
  CHECK(*again.text == fmt::format(R"({{"token":{}}})", id("opaque")));
  CHECK(again.lists.masked.empty());
  CHECK(*masked_by(*rules, R"({"token":{"deep":"secret"}})").text == R"({"token":null})");
  CHECK(*masked_by(*rules, R"({"token":{"id":"secret"}})").text == R"({"token":null})");
  // Results are not inputs.
  CHECK(*masked_by(*rules, R"({"token":"x"})", MaskPart::kResult).text == R"({"token":"x"})");
  const std::vector<std::string> wrong = {"/a~2"};
  CHECK_FALSE(MaskRules::for_tokens(wrong));
}

}  // namespace notp::decision
