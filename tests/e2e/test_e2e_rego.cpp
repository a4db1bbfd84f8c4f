// Typical policies as one release at an embedded PDP and at an unmodified OPA: both must give the
// same, correct decisions.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/registry/model_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;
using Texts = std::map<std::string, std::string>;

const std::string kShop = "100000000000/shop";

fs::path write_model(const Stack& stack, const std::string& name, Texts files) {
  const fs::path folder = stack.file("models") / name;
  empty_model_folder(folder);
  files.try_emplace(
      "manifest.json",
      R"({"metadata": {"name": "shop"}, "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
          "partitions": {"/": {"runtime": "rego"}}, "roots": ["shop", "keys"]})");
  for (const auto& [path, text] : files) {
    REQUIRE(make_folders((folder / path).parent_path()));
    REQUIRE(write_file(folder / path, text));
  }
  return folder;
}

// A registry, an agent with the embedded PDP, and one with an OPA beside it.
struct Pair {
  Stack stack;
  Agent* embedded;
  Agent* fed;
  std::unique_ptr<Opa> opa;
  int64_t version = 0;

  Pair() {
    stack.start_registry();
    opa = std::make_unique<Opa>(stack, free_port());
    embedded = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
    fed = &stack.start_agent(
        {.name = "edge-2", .ledgers = {kShop}, .pdp = "opa", .opa_port = opa->port()});
  }

  void publish(const std::string& name, const Texts& files) {
    CAPTURE(name);
    const CliResult published = stack.publish(write_model(stack, name, files), kShop);
    REQUIRE_MESSAGE(published.status == 0, published.error);
    if (++version == 1) opa->start(*fed);
    REQUIRE(stack.becomes_active(*embedded, kShop, version));
    REQUIRE(stack.becomes_active(*fed, kShop, version));
  }
  // The common answer of both; they must agree.
  json::value ask(const std::string& path, const json::value& input) const {
    const auto own = embedded->decide(path, input), theirs = opa->decide(path, input);
    CHECK(own == theirs);
    return own ? *own : json::value("undefined");
  }
};

constexpr std::string_view kKey =
    R"({"kty": "EC", "crv": "P-256", "kid": "sig-1", "use": "sig", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")";

}  // namespace

TEST_CASE("a caller's JWT is verified with the keys that travel with the policy") {
  Pair pair;
  const std::string signer = fmt::format(
      R"(io.jwt.encode_sign({{"alg": "ES256", "kid": "sig-1"}}, {{"iss": "https://login.shop.example", "aud": "orders", "scope": "a orders.read"}}, {}, "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}}))",
      kKey);
  pair.publish("jwt",
               {{"shop/policy.rego", R"(package shop

claims := payload if {
	[valid, _, payload] := io.jwt.decode_verify(input.token, {
		"cert": json.marshal(data.keys.login),
		"iss": "https://login.shop.example",
		"aud": "orders",
		"time": time.now_ns(),
	})
	valid
}

default allow := false

allow if "orders.read" in split(claims.scope, " ")
)"},
                {"shop/policy_test.rego",
                 fmt::format("package shop\n\ntest_signed if allow with input.token as {}\n\n"
                             "test_unsigned if not allow with input.token as \"a.b.c\"\n",
                             signer)},
                // Functions available in tests are available in decisions.
                {"shop/token.rego", fmt::format("package shop\n\ntoken := {}\n", signer)},
                {"keys/login/data.json", fmt::format("{{\"keys\": [{}}}]}}", kKey)}});
  const auto token = pair.embedded->decide("shop/token", {});
  REQUIRE(token);
  CHECK(pair.ask("shop/allow", {{"token", *token}}) == json::value(true));
  CHECK(pair.ask("shop/allow", {{"token", "x" + std::string(token->as_string())}}) ==
        json::value(false));
}

TEST_CASE("decisions that another engine got wrong are OPA's") {
  Pair pair;
  pair.publish("decisions", {{"shop/policy.rego", R"(package shop

import data.shop.labels as l

default globbed := false

# "*:read" stands for one segment
globbed if glob.match("*:read", [":"], input.permission)

cents := input.amount * 100

exact if cents == 1999

sum_ok if sum([0.1, 0.2, 0.3]) == 0.6

thirds if 0.1 + 0.2 == 0.3

large := sprintf("%d", [12345678901234567890123 + 1])

month := time.add_date(1706608800000000000, 0, 1, 0)

leap := time.add_date(1709200800000000000, 1, 0, 0)

reason := $"user {input.user} may not"

clean if not count(input.violations) > 0

mapped if net.cidr_contains("10.0.0.0/8", "::ffff:10.1.2.3")

counted := strings.count("banana", "a")

replaced := strings.replace_n({"a": "b", "b": "c"}, "ab")

newer if semver.is_valid("v1.2.3")

walked contains p if {
	[p, v] := walk({"a": {"b": 1}})
	v == 1
}

words := regex.find_n(`\p{Lu}\p{Ll}+`, "Äpfel und Öl", -1)

wrong := sprintf("%d %s", ["x"])

named := l.name

self := data.shop.counted
)"},
                             {"shop/other.rego", R"(package shop

import data.shop.more as l

other := l.name
)"},
                             {"shop/labels/data.json", R"({"name": "labels"})"},
                             {"shop/more/data.json", R"({"name": "more"})"}});
  const auto is = [&](const std::string& rule, const json::value& input, const char* expected) {
    CAPTURE(rule);
    CHECK(json::serialize(pair.ask("shop/" + rule, input)) == expected);
  };
  is("globbed", {{"permission", "users:read"}}, "true");
  is("globbed", {{"permission", "admin:users:read"}}, "false");
  is("cents", {{"amount", 19.99}}, "1999");
  is("exact", {{"amount", 19.99}}, "true");
  is("sum_ok", {}, "true");
  is("thirds", {}, "true");
  is("month", {}, "1709287200000000000");
  is("leap", {}, "1740823200000000000");
  is("reason", {{"user", "eve"}}, "\"user eve may not\"");
  is("large", {}, "\"12345678901234567890124\"");
  is("clean", json::object(), "\"undefined\"");  // nothing is known of violations
  is("clean", {{"violations", json::array()}}, "true");
  is("clean", {{"violations", {"x"}}}, "\"undefined\"");
  is("mapped", {}, "true");
  is("counted", {}, "3");
  is("walked", {}, R"([["a","b"]])");
  is("words", {}, "[\"\u00c4pfel\",\"\u00d6l\"]");
  is("named", {}, "\"labels\"");
  is("other", {}, "\"more\"");
  is("self", {}, "3");
  // The rest is compared with OPA's answer as a whole.
  pair.ask("shop",
           {{"amount", 3}, {"permission", "x"}, {"user", 7}, {"violations", json::array()}});
}

TEST_CASE("a case of a test that does not hold fails the model, by its name") {
  Stack stack;
  const fs::path model = write_model(stack, "cases",
                                     {{"shop/policy.rego", R"(package shop

default allow := false

allow if input.user in {"u-1", "u-2"}
)"},
                                      {"shop/policy_test.rego", R"(package shop

test_cases[note] if {
	some note, tc in {"known": {"user": "u-1", "want": true}, "stranger": {"user": "nobody", "want": true}}
	tc.want == allow with input as tc
}
)"}});
  const CliResult judged = stack.notp("alice", {"validate", "--verbose", model.string()});
  CHECK(judged.status == 3);
  const json::value document = must(parse_json(judged.output));
  std::string ends;
  for (const json::value& test : document.at("results").as_array())
    ends += fmt::format("{}.{} {}\n", text_at(test, "package"), text_at(test, "name"),
                        text_at(test, "outcome"));
  CHECK(ends == "data.shop.test_cases/known pass\ndata.shop.test_cases/stranger fail\n");
  const json::array& findings = document.at("findings").as_array();
  REQUIRE(findings.size() == 1);
  CHECK(text_at(findings[0], "rule") == "test-failed");
  CHECK(text_at(findings[0], "path") == "shop/policy_test.rego");
  CHECK(text_at(findings[0], "message").contains("stranger"));
  CHECK_FALSE(text_at(findings[0], "message").contains("known"));
}

TEST_CASE("policies of before OPA 1.0: all places and the way, or the manifest says so") {
  Pair pair;
  const std::string old = R"(package shop

default allow = false

allow {
	input.user == data.shop.users[_]
}

deny[msg] {
	not allow
	msg := "no"
}
)";
  const Texts files = {{"shop/policy.rego", old}, {"shop/users/data.json", R"(["u-1"])"}};
  const CliResult judged =
      pair.stack.notp("alice", {"validate", write_model(pair.stack, "v0", files).string()});
  CHECK(judged.status == 3);
  std::vector<int64_t> lines;
  const json::value document = must(parse_json(judged.output));
  for (const json::value& finding : document.at("findings").as_array())
    lines.push_back(number_at(finding, "line"));
  CHECK(std::ranges::count(lines, 5) > 0);
  CHECK(std::ranges::count(lines, 9) > 0);
  CHECK(json::serialize(document).contains("opa fmt --write --v0-v1"));

  Texts declared = files;
  declared["manifest.json"] =
      R"({"metadata": {"name": "shop"},
          "runtimes": {"old": {"language": {"name": "rego", "version": "0"}}, "rego": {"language": {"name": "rego", "version": "1"}}},
          "partitions": {"/": {"runtime": "rego"}, "/shop": {"runtime": "old"}}, "roots": ["shop", "keys"]})";
  declared["more/more.rego"] = "package shop.more\n\nallow if data.shop.allow\n";
  pair.publish("v0-declared", declared);
  CHECK(pair.ask("shop/allow", {{"user", "u-1"}}) == json::value(true));
  CHECK(pair.ask("shop/more/allow", {{"user", "u-1"}}) == json::value(true));
  CHECK(pair.ask("shop/deny", {{"user", "eve"}}) == json::value{"no"});
}

TEST_CASE("a node that may not do what a release needs rejects it, and says what that is") {
  Stack stack;
  stack.registry_more["validation"] = must(parse_json(
      fmt::format(R"({{"allow": [{{"ledgers": ["{}"], "builtins": ["http.send"]}}]}})", kShop)));
  stack.write_registry_config();
  stack.start_registry();
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  const std::string closed = "package shop\n\nallow if input.user == \"u-1\"\n";
  REQUIRE(stack.published(write_model(stack, "shop", {{"shop/policy.rego", closed}}), kShop) == 1);
  REQUIRE(stack.becomes_active(agent, kShop, 1));

  const Texts reaching = {
      {"shop/policy.rego",
       closed +
           "\nknown if http.send({\"method\": \"get\", \"url\": input.url}).status_code == 200\n\n"
           "parts := strings.split_n(\"a,b,c\", \",\", 2)\n"}};
  const fs::path model = write_model(stack, "shop", reaching);
  // Without --allow, validation reports the same before the publish.
  const CliResult judged = stack.notp("alice", {"validate", model.string()});
  CHECK(judged.status == 3);
  CHECK(judged.output.contains("undefined function http.send"));
  REQUIRE(stack.published(model, kShop) == 2);
  const CliResult shown = stack.notp("alice", {"show", kShop});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(at(shown.document, "needs.builtins") == json::value({"http.send", "strings.split_n"}));

  REQUIRE(
      wait_until([&] { return text_at(stack.node_ledger(agent, kShop), "state") == "rejected"; }));
  const json::value row = stack.node_ledger(agent, kShop);
  CHECK(number_at(row, "version") == 2);
  CHECK(number_at(row, "active_version") == 1);
  CHECK_MESSAGE(text_at(row, "error.message").contains("http.send"), json::serialize(row));
  CHECK(text_at(row, "error.message").contains("shop/policy.rego"));
  CHECK(text_at(row, "error.code") == "pdp_rejected");
  CHECK(agent.decide("shop/allow", {{"user", "u-1"}}) == json::value(true));
  const CliResult node = stack.notp("eve", {"node", "show", "edge-1"});
  CHECK(node.output.contains("undefined function http.send"));
}

}  // namespace notp
