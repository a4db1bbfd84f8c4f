#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "common/rego/engine.hpp"
#include "tests/support/rego_policies.hpp"

namespace {

using notp::compiled;
using notp::ErrorCode;
using notp::findings;
using notp::kAllow;
using notp::PolicyPtr;
using notp::value;
using notp::rego::Diagnostic;
using notp::rego::Limits;
using notp::rego::Policy;
using notp::rego::SourceFile;
using notp::rego::TestOutcome;

ErrorCode error_of(const Policy& policy, std::string_view path, std::string_view input = {}) {
  auto result = policy.evaluate(path, input);
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}

bool mentions(const std::vector<Diagnostic>& all, std::string_view path, int line,
              std::string_view text) {
  return std::ranges::any_of(all, [&](const Diagnostic& one) {
    return one.path == path && one.line == line && one.message.contains(text);
  });
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("a parse error has its path, line and column") {
  const auto found = findings({{"a/b.rego", "package a\n\nallow if {\n\tx := \n}\n"}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].path == "a/b.rego");
  CHECK(found[0].line == 4);
  CHECK(found[0].column == 7);
  CHECK_FALSE(found[0].message.empty());
  CHECK_FALSE(found[0].message.contains("-->"));
}

TEST_CASE("every file that does not parse is reported") {
  const auto found = findings({{"one.rego", "package one\nx := {"},
                               {"good.rego", "package good\nx := 1\n"},
                               {"two.rego", "packag two"},
                               {"three.rego", "package three\n\nallow { true }\n"}});
  REQUIRE(found.size() == 3);
  CHECK(found[0].path == "one.rego");
  CHECK(found[1].path == "two.rego");
  CHECK(found[2].path == "three.rego");  // Rego v1: `if` is required
  CHECK(found[2].line == 3);
}

TEST_CASE("findings are counted up to the limit") {
  std::vector<SourceFile> modules;
  for (int i = 0; i < 20; ++i) modules.push_back({std::to_string(i) + ".rego", "package"});
  Limits limits;
  limits.diagnostics_max = 7;
  CHECK(findings(modules, {}, limits).size() == 7);
}

TEST_CASE("compiling finds what the engine would meet only while evaluating") {
  SUBCASE("unknown function") {
    CHECK(mentions(findings({{"a.rego", "package a\nx := 1\ny := nosuch(x)\n"}}), "a.rego", 3,
                   "nosuch"));
    CHECK(mentions(findings({{"a.rego", "package a\nimport data.b\ny := b.f(1)\n"},
                             {"b.rego", "package b\ng(x) := x\n"}}),
                   "a.rego", 3, "b.f"));
  }
  SUBCASE("http.send is not built in") {
    const auto found = findings(
        {{"a.rego", "package a\nx := http.send({\"method\": \"get\", \"url\": \"http://h\"})\n"}});
    CHECK(mentions(found, "a.rego", 2, "http.send"));
  }
  SUBCASE("wrong number of arguments") {
    const auto found =
        findings({{"a.rego", "package a\nf(x) := x\ny := f(1, 2, 3)\nz := count()\n"}});
    CHECK(mentions(found, "a.rego", 3, "takes 1 argument"));
    CHECK(mentions(found, "a.rego", 4, "takes 1 argument"));
  }
  SUBCASE("unsafe variables, in several files") {
    const auto found = findings({{"a.rego", "package a\nx if y == 1\n"},
                                 {"b.rego", "package a\nz if x\n"},
                                 {"c.rego", "package a\nw if v > 1\n"}});
    CHECK(mentions(found, "a.rego", 2, "y"));
    CHECK(mentions(found, "c.rego", 2, "v"));
    CHECK(found.size() == 2);
  }
  SUBCASE("recursion over packages") {
    const auto found = findings({{"a.rego", "package a\nx if data.b.y\n"},
                                 {"b.rego", "package b\nimport data.a\ny if a.x\n"}});
    REQUIRE(found.size() == 1);
    CHECK(found[0].message.contains("recursive"));
    CHECK(found[0].message.contains("data.b.y"));
  }
  SUBCASE("recursive functions") {
    CHECK(mentions(findings({{"a.rego", "package a\nf(x) := g(x)\ng(x) := f(x)\n"}}), "a.rego", 2,
                   "recursive"));
  }
  SUBCASE("rules in conflict") {
    CHECK(mentions(findings({{"a.rego", "package a\np := 1\np contains 2\n"}}), "a.rego", 3,
                   "conflicts"));
    CHECK(mentions(findings({{"a.rego", "package a\nf(x) := 1\nf(x, y) := 2\n"}}), "a.rego", 3,
                   "conflicts"));
    CHECK(mentions(findings({{"a.rego", "package a\ndefault p := 1\ndefault p := 2\n"}}), "a.rego",
                   3, "conflicts"));
    CHECK(
        mentions(findings({{"a.rego", "package a\nb := 1\n"}, {"b.rego", "package a.b\nx := 1\n"}}),
                 "b.rego", 1, "conflicts"));
  }
  SUBCASE("a rule over base data") {
    CHECK(mentions(findings({{"a.rego", "package a\nb := 1\n"}}, R"({"a":{"b":2}})"), "a.rego", 2,
                   "data document"));
    CHECK(mentions(findings({{"a.rego", "package a\nb := 1\n"}}, R"({"a":3})"), "a.rego", 2,
                   "not an object"));
    CHECK(findings({{"a.rego", "package a\nb := 1\n"}}, R"({"a":{"c":2}})").empty());
  }
  SUBCASE("a name that only another file of the package imports") {
    const auto found = findings({{"a.rego", "package p\nimport data.lib\nx := lib.v\n"},
                                 {"b.rego", "package p\ny := lib.v\n"},
                                 {"c.rego", "package p\nz := [lib | some lib in [1]]\n"},
                                 {"lib.rego", "package lib\nv := 3\n"}});
    CHECK(mentions(found, "b.rego", 2, "lib"));
    CHECK_FALSE(mentions(found, "a.rego", 3, "lib"));
  }
  SUBCASE("with replaces nothing that exists") {
    const auto found = findings({{"a.rego", R"(package a
f(x) := x
ok if { f(1) == 2 with f as 2 with input.x as 1 with data.y as 2 with count as 3 }
bad if { true with nosuch.f as 1 }
)"}});
    CHECK(mentions(found, "a.rego", 4, "nosuch.f"));
    CHECK(found.size() == 1);
  }
  SUBCASE("a default that is not constant") {
    CHECK(mentions(findings({{"a.rego", "package a\ndefault p := input.x\n"}}), "a.rego", 2,
                   "constant"));
  }
}

TEST_CASE("compiling accepts what only looks recursive") {
  CHECK(findings({{"a.rego", R"(package a
user := u if { u := input.user }
name(user) := user.name
x := name(user)
)"}})
            .empty());
  CHECK(
      findings({{"main.rego", "package policies.main\nallow if { some p; data.policies[p].ok }\n"},
                {"p.rego", "package policies.p\nok := true\n"}})
          .empty());
  CHECK(findings({{"lib.rego", "package lib\nf(x) := x\ng(x) := f(x) if x > 0\n"},
                  {"use.rego",
                   "package use\nimport data.lib as l\ny := l.g(2)\nz if { walk(input, [p, v]); p "
                   "== v }\n"}})
            .empty());
}

TEST_CASE("allow: true, false, undefined") {
  const PolicyPtr policy = compiled({kAllow}, R"({"shop":{"admins":["root","alice"]}})");
  CHECK(value(*policy, "shop/authz/allow", R"({"user":"root","action":"write"})") == "true");
  CHECK(value(*policy, "shop/authz/allow", R"({"user":"bob","action":"write"})") == "false");
  CHECK(value(*policy, "shop/authz/allow", R"({"user":"bob","action":"read"})") == "true");
  CHECK(value(*policy, "shop/authz/allow", R"({"user":"mallory","action":"read"})") == "false");
  CHECK(value(*policy, "shop/authz/limit", R"({"user":"alice"})") == "5");
  CHECK(value(*policy, "shop/authz/limit", R"({"user":"bob"})") == "undefined");
  CHECK(value(*policy, "shop/authz/nosuch", "{}") == "undefined");
  CHECK(value(*policy, "no/such/package", "{}") == "undefined");
  CHECK(value(*policy, "shop/authz/allow") == "false");  // no input at all
}

TEST_CASE("a package is an object of its rules, data and rules meet in one document") {
  const PolicyPtr policy =
      compiled({kAllow, {"fn.rego", "package shop.fn\nf(x) := x\nempty := {}\n"}},
               R"({"shop":{"admins":["root"],"authz":{"note":"n"}}})");
  CHECK(value(*policy, "shop/authz", R"({"user":"mallory","action":"read"})") ==
        R"({"allow":false,"banned":true,"note":"n","reasons":["banned"]})");
  CHECK(value(*policy, "shop/authz/reasons/banned", R"({"user":"mallory"})") == R"("banned")");
  CHECK(value(*policy, "shop/fn/f") == "undefined");
  CHECK(value(*policy, "shop/fn") == R"({"empty":{}})");
  CHECK(value(*policy, "shop", R"({"user":"x"})") ==
        R"({"admins":["root"],"authz":{"allow":false,"note":"n","reasons":[]},"fn":{"empty":{}}})");
  CHECK(value(*policy, "", R"({"user":"x"})").starts_with(R"({"shop":{"admins":["root"])"));
}

TEST_CASE("plain data, with keys that are no identifiers") {
  const PolicyPtr policy =
      compiled({{"k.rego",
                 "package keys[\"a-b\"]\nx := data.list[1]\np[k] := v if some k, v in {\"q\": "
                 "1}\nnumbers contains 7\nby_number := {7: \"seven\"}\n"}},
               R"({"list":[1,{"x":"y"}],"we\"ird":{"é":null}})");
  CHECK(value(*policy, "list") == R"([1,{"x":"y"}])");
  CHECK(value(*policy, "keys/a-b/numbers/7") == "7");
  CHECK(value(*policy, "keys/a-b/by_number/7") == R"("seven")");
  CHECK(value(*policy, "list/1/x") == R"("y")");
  CHECK(value(*policy, "list/2") == "undefined");
  CHECK(value(*policy, "we\"ird/é") == "null");
  CHECK(value(*policy, "keys/a-b/x/x") == R"("y")");
  CHECK(value(*policy, "keys/a-b/p/q") == "1");
  CHECK(value(*policy, "keys/a-b/p/r") == "undefined");
  CHECK(value(*policy, "/list/0/") == "1");
}

TEST_CASE("a failing built-in is undefined, rules in conflict are an error with a place") {
  const PolicyPtr policy = compiled({{"a.rego", R"(package a
n := to_number(input.n)
p := 1 if input.a
p := 2 if input.b
)"}});
  CHECK(value(*policy, "a/n", R"({"n":"12"})") == "12");
  CHECK(value(*policy, "a/n", R"({"n":"x"})") == "undefined");
  CHECK(value(*policy, "a/p", R"({"a":true})") == "1");
  CHECK(error_of(*policy, "a/p", R"({"a":true,"b":true})") == ErrorCode::kInvalidModel);
  CHECK(value(*policy, "a/p", R"({"a":true,"b":true})").contains("a.rego:"));
}

TEST_CASE("one evaluation leaves nothing behind for the next") {
  const PolicyPtr policy = compiled({kAllow}, R"({"shop":{"admins":["root"]}})");
  CHECK(value(*policy, "shop/authz/allow", R"({"user":"root"})") == "true");
  CHECK(value(*policy, "shop/authz/allow") == "false");
  CHECK(value(*policy, "shop/authz/reasons", R"({"user":"mallory"})") == R"(["banned"])");
  CHECK(value(*policy, "shop/authz/reasons", R"({"user":"root"})") == "[]");
}

TEST_CASE("an evaluation without end is stopped") {
  Limits limits;
  limits.evaluation_ms = 50;
  const PolicyPtr policy = compiled({{"a.rego", R"(package a
r := numbers.range(1, 5000)
x := count([1 | some i in r; some j in r; some k in r; i + j == k * 2])
)"}},
                                    {}, limits);
  CHECK(error_of(*policy, "a/x") == ErrorCode::kTimeout);
  CHECK(error_of(*policy, "a") == ErrorCode::kTimeout);
  CHECK(value(*policy, "a/r/0") == "1");
}

TEST_CASE("one call cannot take memory without bound") {
  const PolicyPtr policy = compiled({{"a.rego", R"(package a
r := numbers.range(1, input.n)
s := sprintf("%999999999d", [1])
l := bits.lsh(1, input.n)
c := net.cidr_expand("10.0.0.0/4")
d := replace(input.t, "a", input.t)
ok := [numbers.range(1, 3), sprintf("%5d", [1]), bits.lsh(1, 4), count(net.cidr_expand("10.0.0.0/30"))]
)"}});
  const std::string text = repeated("a", 100'000);
  const std::string input = R"({"n":1000000000000,"t":")" + text + "\"}";
  for (const char* rule : {"a/r", "a/s", "a/l", "a/c", "a/d"}) {
    CAPTURE(rule);
    CHECK(error_of(*policy, rule, input) == ErrorCode::kInvalidModel);
  }
  CHECK(value(*policy, "a/ok") == R"([[1,2,3],"    1",16,4])");
}

TEST_CASE("input and result are bounded") {
  Limits limits;
  limits.input_bytes_max = 64;
  limits.result_bytes_max = 64;
  const PolicyPtr policy =
      compiled({{"a.rego", "package a\nx := numbers.range(1, 100)\ny := 1\n"}}, {}, limits);
  CHECK(error_of(*policy, "a/y", "\"" + repeated("a", 64) + "\"") == ErrorCode::kLimit);
  CHECK(error_of(*policy, "a/x") == ErrorCode::kLimit);
  CHECK(value(*policy, "a/y") == "1");
}

TEST_CASE("input that is not JSON, or too deep, is refused") {
  const PolicyPtr policy = compiled({{"a.rego", "package a\nx := input\n"}});
  CHECK(error_of(*policy, "a/x", "{") == ErrorCode::kMessage);
  CHECK(error_of(*policy, "a/x", "\xff") == ErrorCode::kMessage);
  CHECK(error_of(*policy, "a/x", "{} {}") == ErrorCode::kMessage);
  CHECK(value(*policy, "a/x", repeated("[", 100) + repeated("]", 100)) ==
        repeated("[", 100) + repeated("]", 100));
  CHECK(error_of(*policy, "a/x", repeated("[", 200) + repeated("]", 200)) == ErrorCode::kMessage);
  CHECK(error_of(*policy, "a/x", repeated("[", 500'000)) == ErrorCode::kMessage);
}

TEST_CASE("data that is not an object, not JSON, or too deep does not compile") {
  for (const std::string& data : {std::string("[]"), std::string("{"), std::string("\xff"),
                                  "{\"a\":" + repeated("[", 200) + repeated("]", 200) + "}"}) {
    CAPTURE(data);
    CHECK(findings({kAllow}, data).size() == 1);
  }
}

TEST_CASE("texts that would overflow the stack are refused") {
  const std::string every = repeated("every x in [1] {\n", 10'000);
  const std::vector<std::string> bodies = {
      "x := " + repeated("[", 50'000),
      "x := " + repeated("{", 30) + "1" + repeated("}", 30),
      "x if {\n" + every + "true\n" + repeated("}", 10'001),
      "x := 1" + repeated(" +\n1", 100'000),
      "x := " + repeated("-", 100'000) + "1",
      "x := input" + repeated("[0]", 100'000),
      "x := input" + repeated(".a", 100'000),
      "x if 1 " + repeated(" in input\n", 50'000),
  };
  for (const std::string& body : bodies) {
    CAPTURE(body.substr(0, 40));
    const std::string text = "package a\n" + body + "\n";
    CHECK_FALSE(findings({{"deep.rego", text}}).empty());
  }
}

TEST_CASE("a chain of rules as deep as allowed evaluates, a deeper one does not compile") {
  const auto chain = [](int rules) {
    std::string text = "package a\nr0 := 1\n";
    for (int i = 1; i < rules; ++i) {
      text += "r" + std::to_string(i) + " := [x | x := r" + std::to_string(i - 1) + "]\n";
    }
    return text;
  };
  const std::string deep = chain(5'000);
  const auto found = findings({{"deep.rego", deep}});
  REQUIRE(found.size() == 1);
  CHECK(found[0].message.contains("levels deep"));

  const std::string allowed = chain(120);
  const PolicyPtr policy = compiled({{"ok.rego", allowed}});
  CHECK(value(*policy, "a/r119") == repeated("[", 119) + "1" + repeated("]", 119));
}

TEST_CASE("packages are listed in module order") {
  const PolicyPtr policy =
      compiled({{"x.rego", "package a.b\n"}, {"y.rego", "package c[\"d.e\"]\n"}});
  const auto packages = policy->packages();
  REQUIRE(packages.has_value());
  REQUIRE(packages->size() == 2);
  CHECK((*packages)[0].path == "x.rego");
  CHECK((*packages)[0].package == std::vector<std::string>{"a", "b"});
  CHECK((*packages)[1].package == std::vector<std::string>{"c", "d.e"});
}

TEST_CASE("tests inside the model: pass, fail, error, skip") {
  const PolicyPtr policy = compiled({kAllow, {"authz_test.rego", R"(package shop.authz_test
import data.shop.authz

test_admin if authz.allow with input as {"user": "root"}

test_wrong if authz.allow with input as {"user": "mallory"}

test_false := false

test_conflict if p == 1
p := 1
p := 2 if 1 < 2

todo_test_later if false

test_data if authz.allow with input as {"user": "z"} with data.shop.admins as ["z"]

test_twice if true
test_twice if false

test_cases[name] := ok if {
	some name, user in {"root": "root", "eve": "eve"}
	ok := [a | a := authz.allow with input as {"user": user}][0]
}

test_mock if authz.allow with authz.banned as false with input as {"user": "mallory", "action": "read"}

helper if true
test_fn(x) := x
)"}},
                                    R"({"shop":{"admins":["root"]}})");
  const auto results = policy->run_tests();
  REQUIRE(results.has_value());
  const auto outcome = [&](std::string_view name) {
    const auto found = std::ranges::find(*results, name, &notp::rego::TestResult::name);
    REQUIRE(found != results->end());
    CHECK(found->package == "data.shop.authz_test");
    CHECK(found->path == "authz_test.rego");
    return *found;
  };
  CHECK(outcome("test_admin").outcome == TestOutcome::kPass);
  CHECK(outcome("test_admin").line == 4);
  CHECK(outcome("test_wrong").outcome == TestOutcome::kFail);
  CHECK(outcome("test_wrong").message.contains("undefined"));
  CHECK(outcome("test_false").outcome == TestOutcome::kFail);
  CHECK(outcome("test_conflict").outcome == TestOutcome::kError);
  CHECK(outcome("test_conflict").message.contains("authz_test.rego:"));
  CHECK(outcome("todo_test_later").outcome == TestOutcome::kSkipped);
  CHECK(outcome("test_data").outcome == TestOutcome::kPass);
  CHECK(outcome("test_twice").outcome == TestOutcome::kPass);
  CHECK(outcome("test_twice#01").outcome == TestOutcome::kFail);
  CHECK(outcome("test_cases").outcome == TestOutcome::kFail);
  CHECK(outcome("test_cases").message.contains("eve"));
  CHECK_FALSE(outcome("test_cases").message.contains("root"));
  CHECK(outcome("test_mock").outcome == TestOutcome::kPass);
  CHECK(results->size() == 10);
}

TEST_CASE("a test without end fails alone, and all tests together have a limit") {
  Limits limits;
  limits.test_ms = 30;
  const SourceFile slow{"slow_test.rego", R"(package s
r := numbers.range(1, 5000)
test_slow if count([1 | some i in r; some j in r; i * j == 0]) == 1
test_quick if true
)"};
  const auto results = compiled({slow}, {}, limits)->run_tests();
  REQUIRE(results.has_value());
  REQUIRE(results->size() == 2);
  CHECK((*results)[0].outcome == TestOutcome::kError);
  CHECK((*results)[1].outcome == TestOutcome::kPass);

  limits.tests_ms = 1;
  const auto cut = compiled({slow}, {}, limits)->run_tests();
  REQUIRE(cut.has_value());
  CHECK((*cut)[1].outcome == TestOutcome::kError);
  CHECK((*cut)[1].message.contains("not run"));
}

TEST_CASE("opa.runtime shows no environment") {
  const PolicyPtr policy = compiled({{"a.rego", "package a\nx := opa.runtime()\n"}});
  CHECK_FALSE(value(*policy, "a/x").contains("PATH"));
  CHECK_FALSE(value(*policy, "a/x").contains("\"env\""));
}

TEST_CASE("a decision sees every package that it can reach") {
  const PolicyPtr policy = compiled(
      {{"main.rego", R"(package main
import data.lib.names as n
alias := n.upper_of(input.x)
dynamic contains team if { some team; data.teams[team].allow }
nested := data.outer
mocked := y if { y := n.upper_of("a") with n.upper_of as data.mocks.fixed }
chained if data.chain.one.ok
)"},
       {"names.rego", "package lib.names\nimport data.lib.deeper\nupper_of(x) := deeper.up(x)\n"},
       {"deeper.rego", "package lib.deeper\nup(x) := upper(x)\n"},
       {"mocks.rego", "package mocks\nfixed(_) := \"mock\"\n"},
       {"red.rego", "package teams.red\nallow := data.lib.names.upper_of(\"r\") == \"R\"\n"},
       {"blue.rego", "package teams.blue\nallow := false\nextra := data.unrelated.y\n"},
       {"unrelated.rego", "package unrelated\ny := 1\n"},
       {"empty.rego", "package outer.empty\n"},
       {"full.rego", "package outer.full\nz := data.unrelated.y\n"},
       {"one.rego", "package chain.one\nok if helper\n"},
       {"one_more.rego", "package chain.one\nimport data.chain.two\nhelper if two.ok\n"},
       {"two.rego", "package chain.two\ndefault ok := false\nok if data.flags.on\n"}},
      R"({"flags":{"on":true},"outer":{"base":0}})");
  CHECK(value(*policy, "main/alias", R"({"x":"q"})") == R"("Q")");
  CHECK(value(*policy, "main/dynamic") == R"(["red"])");
  CHECK(value(*policy, "main/nested") == R"({"base":0,"empty":{},"full":{"z":1}})");
  CHECK(value(*policy, "main/mocked") == R"("mock")");
  CHECK(value(*policy, "main/chained") == "true");
  CHECK(value(*policy, "outer") == R"({"base":0,"empty":{},"full":{"z":1}})");
  CHECK(value(*policy, "outer/empty") == "{}");
  CHECK(value(*policy, "teams") == R"({"blue":{"allow":false,"extra":1},"red":{"allow":true}})");
}

TEST_CASE("one policy evaluates on several threads at once") {
  const PolicyPtr policy = compiled({kAllow}, R"({"shop":{"admins":["root","alice"]}})");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t, own = policy] {
      for (int i = 0; i < 200; ++i) {
        const bool admin = (i + t) % 2 == 0;
        const std::string input = admin ? R"({"user":"root"})" : R"({"user":"eve"})";
        if (value(*own, "shop/authz/allow", input) != (admin ? "true" : "false")) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
