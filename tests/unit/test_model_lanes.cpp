// Policies that look tokens up, and what they must not name.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "protocol/model/validate.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/registry/model_samples.hpp"

using namespace notp;

namespace {

using samples::Texts;

constexpr const char* kScopes =
    "package authz\n\nallow if \"read\" in "
    "split(data.system.notp.tokens.lookup(input.token).scope, "
    "\" \")\n\ndenied if data.system.notp.tokens.revoked(input.claims)\n\n"
    "lane := data.system.notp.tokens.lane.state\n";

model::ModelReport validate(const Texts& extra, std::string_view roots = R"("authz")") {
  Texts texts{{"manifest.json", fmt::format(R"({{"metadata": {{"name": "m"}}, "runtimes": {{"rego":
                   {{"language": {{"name": "rego", "version": "1.0"}}}}}},
                   "partitions": {{"/": {{"runtime": "rego"}}}}, "roots": [{}]}})",
                                            roots)}};
  for (const auto& [path, text] : extra) texts[path] = text;
  const model::ModelContent content = samples::model_of(texts);
  auto report = model::validate_model(*content.tree, content.loader(), &test_checker());
  REQUIRE_MESSAGE(report.has_value(), report.error().message);
  return *std::move(report);
}

// The lines of the findings of one rule in p.rego; 0: without a place.
std::vector<uint32_t> lines(const model::ModelReport& report, std::string_view rule) {
  std::vector<uint32_t> out;
  CAPTURE(model::findings_text(report.findings));
  for (const auto& each : report.findings) {
    CHECK(each.rule == rule);
    out.push_back(each.line);
  }
  return out;
}

}  // namespace

TEST_CASE("policies that look tokens up are valid, and their tests replace the functions") {
  const auto report = validate({{"p.rego", kScopes}, {"p_test.rego", R"(package authz_test

_found(token) := {"scope": "read write"} if token == "t"

_alive(_) := false

test_replaced if {
	data.authz.allow with data.system.notp.tokens.lookup as _found with input.token as "t"
	not data.authz.allow with data.system.notp.tokens.lookup as _found with input.token as "u"
	not data.authz.denied with data.system.notp.tokens.revoked as _alive with input.claims as {}
	data.authz.lane == "live" with data.system.notp.tokens.lane as {"state": "live"}
}

# Where there is no lane, no token lives and all are revoked.
test_without_a_lane if {
	not data.authz.allow with input.token as "t"
	data.authz.denied with input.claims as {"iss": "https://i.example", "sub": "s"}
	data.authz.lane == "unknown"
}
)"}});
  CHECK_MESSAGE(report.valid(), model::findings_text(report.findings));
  CHECK_MESSAGE(report.warnings.empty(), model::findings_text(report.warnings));
  CHECK(report.tests.passed == 2);
  CHECK(report.builtins.empty());
}

TEST_CASE("what only an OPA with a lane has is refused in every form, with its line") {
  const auto of = [](std::string_view body, std::string_view imports = "") {
    return validate({{"p.rego", fmt::format("package authz\n{}\n\n{}\n", imports, body)}});
  };
  using Lines = std::vector<uint32_t>;
  CHECK(lines(of("allow if data.tokens.live.x"), "lane-data") == Lines{4});
  CHECK(lines(of("allow if data[\"tokens\"].live.x"), "lane-data") == Lines{4});
  CHECK(lines(of("allow if t.live.x", "import data.tokens as t"), "lane-data") == Lines{2});
  CHECK(lines(of("allow if tokens.live.x", "import data.tokens"), "lane-data") == Lines{2});
  CHECK(lines(of("allow if d.tokens.live.x", "import data as d"), "lane-data") == Lines{4});
  CHECK(lines(of("allow if data.authz.x with data.tokens as {}\n\nx := 1"), "lane-data") ==
        Lines{4});
  CHECK(lines(of("allow := {x | some x in data.tokens}"), "lane-data") == Lines{4});
  CHECK(lines(of("a[data.tokens.live.x] := 1"), "lane-data") == Lines{4});
  // Others of that name are free, and a computed one is not seen.
  for (const char* free : {"allow if data.authz.tokens\n\ntokens := 1", "allow if input.tokens",
                           "allow if data[input.name].x", "tokens := 1\n\nallow if tokens == 1"}) {
    const auto report = of(free);
    CHECK_MESSAGE(report.valid(), free, ": ", model::findings_text(report.findings));
  }
}

TEST_CASE("roots, packages and data of a lane's names are refused") {
  const auto root = validate({{"p.rego", "package tokens.x\n\na := 1\n"}}, R"("tokens/x")");
  REQUIRE(root.findings.size() == 2);
  for (const auto& each : root.findings) CHECK(each.rule == "lane-data");
  CHECK(root.findings[0].path == "manifest.json");
  CHECK(lines(validate({{"tokens/data.json", "{}"}}, R"("tokens")"), "lane-data").size() == 1);

  // The package of the functions is the agent's, as all of data.system.
  CHECK(
      lines(validate({{"p.rego", "package system.notp.tokens\n\nlookup(_) := {}\n"}}), "rego-roots")
          .size() == 1);
  CHECK(lines(validate({{"p_test.rego", "package system.notp.tokens\n\nlookup(_) := {}\n"}}),
              "lane-data")
            .size() == 1);
  CHECK(lines(validate({{"system/notp/tokens/data.json", "{}"}}), "data-roots").size() == 1);
  // Its built-in functions are its own: no OPA has them.
  const auto direct =
      validate({{"p.rego", "package authz\n\nallow if notp.tokens.lookup(input.token)\n"}});
  CHECK(lines(direct, "rego-compile") == std::vector<uint32_t>{3});
  CHECK(direct.findings[0].message.contains("undefined function notp.tokens.lookup"));
}

TEST_CASE("policies that verify transaction tokens are valid, and tests replace the functions") {
  const auto report = validate({{"p.rego", R"(package authz

allow if {
	claims := data.system.notp.txn.verify(input.txn_token)
	"pay" in split(claims.scope, " ")
	data.system.notp.txn.presented(claims) == 0
	data.system.notp.txn.keys.state == "fresh"
}

state := data.system.notp.txn.state(input.txn_token)
)"},
                                {"p_test.rego", R"(package authz_test

_claims(token) := {"scope": "read pay", "txn": "t"} if token == "good"

_first(_) := 0

test_replaced if {
	data.authz.allow with data.system.notp.txn.verify as _claims
		with data.system.notp.txn.presented as _first
		with data.system.notp.txn.keys as {"state": "fresh"}
		with input.txn_token as "good"
	not data.authz.allow with data.system.notp.txn.verify as _claims with input.txn_token as "bad"
}

# A model does not know what a node verifies.
test_alone if {
	not data.authz.allow with input.txn_token as "good"
	data.authz.state == "off" with input.txn_token as "good"
}
)"}});
  CHECK_MESSAGE(report.valid(), model::findings_text(report.findings));
  CHECK_MESSAGE(report.warnings.empty(), model::findings_text(report.warnings));
  CHECK(report.tests.passed == 2);
  CHECK(report.builtins.empty());

  // The package and its built-in functions are the agent's.
  CHECK(lines(validate({{"p.rego", "package system.notp.txn\n\nverify(_) := {}\n"}}), "rego-roots")
            .size() == 1);
  CHECK(lines(validate({{"p_test.rego", "package system.notp.txn.x\n\nverify(_) := {}\n"}}),
              "lane-data")
            .size() == 1);
  CHECK(lines(validate({{"system/notp/txn/data.json", "{}"}}), "data-roots").size() == 1);
  for (const char* name :
       {"keep(input.t, {})", "recall(input.t)", "plain(input.t)", "presented({})"}) {
    const auto direct =
        validate({{"p.rego", fmt::format("package authz\n\nallow if notp.txn.{}\n", name)}});
    CHECK(lines(direct, "rego-compile") == std::vector<uint32_t>{3});
  }
}
