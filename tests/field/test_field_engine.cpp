// Typical policies, validated, published and queried at a node: the answer is as OPA's
// documentation specifies, and byte by byte that of an unmodified OPA with the same release.
#include <set>

#include "tests/support/process/command.hpp"
#include "tests/support/process/decision_site.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// Shared by all tests: a ledger for each model.
DecisionSite& site() {
  static DecisionSite site({"jwts", "words", "globs", "money", "months", "cases"});
  return site;
}

constexpr std::string_view kEcKey =
    R"({"kty": "EC", "crv": "P-256", "kid": "sig-1", "use": "sig", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr std::string_view kEdKey =
    R"({"kty": "OKP", "crv": "Ed25519", "kid": "sig-2", "use": "sig",
        "x": "6aCrVplEjXlkxKuYlJ3JjhjxilQbmbgLBc7DUVJ_PmI"})";

std::string key_set(std::initializer_list<std::string_view> keys) {
  std::string text;
  for (const std::string_view key : keys) text += (text.empty() ? "" : ", ") + std::string(key);
  return fmt::format("{{\"keys\": [{}]}}", text);
}

// The token's issuer determines the key set.
constexpr std::string_view kTokenPolicy = R"(package jwts

issuers := {"https://login.shop.example": "login", "https://partner.example": "partner"}

claims := payload if {
	[_, unverified, _] := io.jwt.decode(input.token)
	keys := data.keys[issuers[unverified.iss]]
	[true, _, payload] = io.jwt.decode_verify(
		input.token,
		{"cert": json.marshal(keys), "iss": unverified.iss, "aud": "orders", "time": input.now},
	)
}

default allow := false

allow if "orders.read" in split(claims.scope, " ")
)";

// Tokens made by a policy can be used in questions.
constexpr std::string_view kTokens = R"(package jwts.made

claims := {"iss": "https://login.shop.example", "aud": "orders", "scope": "a orders.read", "exp": 2000, "nbf": 1000}

es := {
	"kty": "EC", "crv": "P-256", "alg": "ES256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
	"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}

ed := {
	"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "6aCrVplEjXlkxKuYlJ3JjhjxilQbmbgLBc7DUVJ_PmI",
	"d": "Ctn956BafmBXpjy_X04kIJGLZn3x8P-Ktptgj0NzXNY",
}

signed(header, change) := io.jwt.encode_sign(object.union({"alg": "ES256"}, header), object.union(claims, change), es)

made["by the first key"] := signed({"kid": "sig-1"}, {})

made["by the second key"] := io.jwt.encode_sign({"alg": "EdDSA", "kid": "sig-2"}, claims, ed)

made["without a kid"] := signed({}, {})

made["with a kid that nobody has"] := signed({"kid": "sig-9"}, {})

made["for others"] := signed({}, {"aud": "bank"})

made["for several"] := signed({}, {"aud": ["bank", "orders"]})

made["of another issuer"] := signed({}, {"iss": "https://partner.example"})

made["of nobody's issuer"] := signed({}, {"iss": "https://evil.example"})

made["with another right"] := signed({}, {"scope": "orders.readall"})

made["with a large number"] := signed({}, {"serial": 604462909807314587353089})

made["by the public key as a secret"] := io.jwt.encode_sign(
	{"alg": "HS256", "kid": "sig-1"}, claims,
	{"kty": "oct", "k": base64url.encode_no_pad(json.marshal(data.keys.login))},
)

made["by nobody"] := concat(".", [base64url.encode_no_pad(t) | some t in [`{"alg":"none"}`, json.marshal(claims), ""]])
)";

TEST_CASE("tokens are verified with the key sets of their issuers, which change with a release") {
  ModelTexts files = {{"jwts/policy.rego", std::string(kTokenPolicy)},
                      {"jwts/made.rego", std::string(kTokens)},
                      {"keys/login/data.json", key_set({kEcKey, kEdKey})},
                      {"keys/partner/data.json", key_set({kEdKey})}};
  site().publish("jwts", site().write_model("jwts", files, R"("keys")"));
  // A signature differs each time: one node makes them for all.
  const auto of_node = site().embedded->decide("jwts/made/made", json::object());
  REQUIRE(of_node);
  const json::value& made = *of_node;
  REQUIRE(made.as_object().size() == 12);
  const auto allows = [&](const std::string& token, const char* now = "1500000000000") {
    return site().ask("jwts/allow", fmt::format(R"({{"token": {}, "now": {}}})",
                                                json::serialize(at(made, token)), now));
  };
  for (const char* token : {"by the first key", "by the second key", "without a kid", "for several",
                            "with a kid that nobody has", "with a large number"}) {
    CHECK_MESSAGE(allows(token) == "true", token);
    CHECK_MESSAGE(allows(token, "999000000000") == "false", token);   // not yet
    CHECK_MESSAGE(allows(token, "2000000000000") == "false", token);  // no longer
  }
  for (const char* token : {"for others", "of another issuer", "of nobody's issuer", "by nobody",
                            "with another right", "by the public key as a secret"})
    CHECK_MESSAGE(allows(token) == "false", token);

  files["keys/login/data.json"] = key_set({kEdKey});
  files["keys/partner/data.json"] = key_set({kEdKey, kEcKey});
  site().publish("jwts", site().write_model("jwts", files, R"("keys")"));
  CHECK(allows("by the first key") == "false");
  CHECK(allows("by the second key") == "true");
  CHECK(allows("of another issuer") == "true");

  // An entry that OPA cannot read invalidates its whole set, in OPA as here: the publisher gets a
  // warning.
  files["keys/partner/data.json"] =
      key_set({R"({"kty": "AKP", "kid": "next", "pub": "AA"})", kEcKey});
  const fs::path odd = site().write_model("jwts", files, R"("keys")");
  const json::value report = must(parse_json(site().validate(odd).output));
  REQUIRE(report.at("warnings").as_array().size() == 1);
  const json::value& warning = report.at("warnings").as_array()[0];
  CHECK(text_at(warning, "rule") == "keys-unusable");
  CHECK(text_at(warning, "path") == "keys/partner/data.json");
  CHECK(text_at(warning, "message").contains("keys[0] (kid \"next\") cannot be read"));
  site().publish("jwts", odd);
  CHECK(allows("of another issuer") == "false");
  CHECK(allows("by the second key") == "true");
}

TEST_CASE("messages are written with string interpolation") {
  const fs::path model =
      site().write_model("words", {{"words/policy.rego", R"(package words

plain := $"user {input.user} may not {upper("read")}"

absent := $"{input.none}!"

raw := $`raw \n {input.n} "quoted"`

values := $"{1 + 1} {[1, "x"]} {{"k": input.n}} {null} {1.50} {12345678901234567890123}"

braces := $"\{not} {{1, 2}}"

inner := $"{$"in {input.n}"}"

umlauts := $"Größe {input.n} €"

listed contains $"may-{user}" if some user in input.users

keyed := {$"k{user}": 1 | some user in input.users}
)"},
                                   {"words/policy_test.rego", R"(package words_test

test_plain if data.words.plain == "user eve may not READ" with input as {"user": $"{"eve"}"}
)"}});
  site().publish("words", model);
  CHECK(
      site().ask("words", R"({"user": "eve", "n": 7, "users": ["ana", "joe"]})") ==
      R"({"absent":"\u003cundefined\u003e!","braces":"{not} {1, 2}","inner":"in 7","keyed":{"kana":1,"kjoe":1},)"
      R"("listed":["may-ana","may-joe"],"plain":"user eve may not READ",)"
      R"("raw":"raw \\n 7 \"quoted\"","umlauts":"Größe 7 €",)"
      R"("values":"2 [1, \"x\"] {\"k\": 7} null 1.50 12345678901234567890123"})");
  // An unclosed one is a finding at its line.
  must(
      write_file(model / "words/policy.rego", "package words\n\nplain := $\"user {input.user\"\n"));
  const CliResult judged = site().validate(model);
  CHECK(judged.status == 3);
  const json::value report = must(parse_json(judged.output));
  const json::array& findings = report.at("findings").as_array();
  REQUIRE_FALSE(findings.empty());
  CHECK(text_at(findings[0], "path") == "words/policy.rego");
  CHECK(number_at(findings[0], "line") == 3);
}

TEST_CASE("a star stands for one segment, whatever the delimiter is") {
  site().publish("globs", site().write_model("globs", {{"globs/policy.rego", R"(package globs

default allow := false

allow if glob.match("*:read", [":"], input.p)

matched["**:read"] if glob.match("**:read", [":"], input.p)

matched["*:* of two"] if glob.match("*:*", [":", "."], input.p)

matched["*.read of none"] if glob.match("*.read", [], input.p)

matched["*read of null"] if glob.match("*read", null, input.p)

matched["a?b"] if glob.match("a?b", [":"], input.p)

matched["list"] if glob.match("{admin,users}:*", [":"], input.p)

matched["class"] if glob.match("[!x]dmin:**", [":"], input.p)

matched["*::read"] if glob.match("*::read", ["::"], input.p)

matched["quoted"] if glob.match(glob.quote_meta("*:read"), [":"], input.p)

matched["path"] if glob.match("/a/*", ["/"], input.p)

matched["*"] if glob.match("*", [":"], input.p)
)"}}));
  const std::pair<const char*, const char*> rows[] = {
      {"users:read", R"({"**:read":true,"*:* of two":true,"*read of null":true,"list":true})"},
      {"admin:users:read", R"({"**:read":true,"*read of null":true,"class":true})"},
      {"a:b", R"({"*:* of two":true})"},
      {"aXb", R"({"*":true,"a?b":true})"},
      {"a.read", R"({"*":true,"*.read of none":true,"*read of null":true})"},
      {"*:read", R"({"**:read":true,"*:* of two":true,"*read of null":true,"quoted":true})"},
      {"a::read", R"({"**:read":true,"*read of null":true})"},
      {"/a/b", R"({"*":true,"path":true})"},
      {"/a/b/c", R"({"*":true})"},
      {"", R"({"*":true})"}};
  for (const auto& [permission, matched] : rows) {
    const std::string input = json::serialize(json::object{{"p", permission}});
    CHECK_MESSAGE(site().ask("globs/matched", input) == std::string(matched), permission);
  }
  CHECK(site().ask("globs/allow", R"({"p": "users:read"})") == "true");
  CHECK(site().ask("globs/allow", R"({"p": "größe:read"})") == "true");
  CHECK(site().ask("globs/allow", R"({"p": "admin:users:read"})") == "false");
  CHECK(site().ask("globs/allow", R"({"p": ":read"})") == "true");
  CHECK(site().ask("globs/allow", R"({"p": 7})") == "false");
}

TEST_CASE("amounts with decimals are what people wrote") {
  site().publish("money",
                 site().write_model("money", {{"money/policy.rego", R"(package money

cents := input.amount * 100

within if input.amount <= data.money.limit

exact if input.amount == data.money.limit

whole := round(cents)

sum_of_three if 0.1 * 3 == 0.3

parts := sum([input.amount, 0.01])

third := input.amount / 3

largest := max([input.amount, 20])

parsed := to_number("19.990")

scaled := units.parse("19.99M")

shown := sprintf("%.2f %v", [input.amount, input.amount])

written := json.marshal(input)

read := json.unmarshal("{\"x\": 123456789012345678901234567890.10}")

large := input.serial + 1

remainder := input.amount % 2

same := count({1.0, 1, 1e0})
)"},
                                              {"money/data.json", R"({"limit": 19.99})"},
                                              {"money/policy_test.rego", R"(package money_test

test_cents if data.money.cents == 1999 with input.amount as 19.99

test_exact if data.money.exact with input.amount as 19.990
)"}}));
  CHECK(
      site().ask("money", R"({"amount": 19.99, "serial": 604462909807314587353089})") ==
      R"({"cents":1999,"exact":true,"large":604462909807314587353090,"largest":20,"limit":19.99,)"
      R"("parsed":19.990,"parts":20,"read":{"x":123456789012345678901234567890.10},"same":1,"scaled":19990000,)"
      R"("shown":"19.99 19.99","sum_of_three":true,"third":6.6633333333333333334,)"
      R"("whole":1999,"within":true,"written":"{\"amount\":19.99,\"serial\":604462909807314587353089}"})");
  for (const char* amount : {"19.990", "19.991", "1.999e1", "20", "0.1", "-0.0", "1e-3", "1e30",
                             "9007199254740993", "123456789012345678901234567890.12", "\"19.99\""})
    site().ask("money", fmt::format(R"({{"amount": {}}})", amount));
  CHECK(site().ask("money/exact", R"({"amount": 1999e-2})") == "true");
  CHECK(site().ask("money/within", R"({"amount": 19.990000000000000001})") == "undefined");
}

TEST_CASE("months end where OPA says, in every time zone") {
  site().publish("months", site().write_model("months", {{"months/policy.rego", R"(package months

month := time.add_date(input.ns, 0, 1, 0)

year := time.add_date(input.ns, 1, 0, 0)

back := time.add_date(input.ns, 0, -1, 0)

holds if input.ns < time.add_date(data.months.grants[input.grant].from_ns, 0, 1, 0)

civil := time.format([input.ns, "UTC", "2006-01-02"])

berlin := time.clock([input.ns, "Europe/Berlin"])

there := time.date([input.ns, "America/New_York"])

day := time.weekday([input.ns, "Pacific/Kiritimati"])

apart := time.diff([input.ns, "Asia/Kolkata"], [0, "UTC"])

shown := time.format([input.ns, "Europe/Berlin", "2006-01-02T15:04:05.999999999Z07:00"])

wrong := time.parse_ns("2006-01-02", "2024-02-30")

leap := time.parse_rfc3339_ns("2024-02-29T00:00:00+05:30")

lasts := time.parse_duration_ns("36h15m")

nowhere := time.clock([input.ns, "Mars/Olympus"])
)"},
                                                         {"months/data.json", R"({"grants": {
  "january": {"from_ns": 1706572800000000000}, "leap day": {"from_ns": 1709164800000000000}}})"}}));
  const auto at_ns = [](const char* ns, const char* more = "") {
    return fmt::format(R"({{"ns": {}{}}})", ns, more);
  };
  // 30 January 2024, and one month after: 1 March. 29 February 2024, and a year after: 1 March.
  CHECK(site().ask("months/month", at_ns("1706572800000000000")) == "1709251200000000000");
  CHECK(site().ask("months/year", at_ns("1709164800000000000")) == "1740787200000000000");
  CHECK(site().ask("months/back", at_ns("1711843200000000000")) == "1709337600000000000");
  const char* grant = R"(, "grant": "january")";
  CHECK(site().ask("months/holds", at_ns("1709251199999999999", grant)) == "true");
  CHECK(site().ask("months/holds", at_ns("1709251200000000000", grant)) == "undefined");
  CHECK(site().ask("months/berlin", at_ns("1711846800000000000")) == "[3,0,0]");  // summer began
  CHECK(site().ask("months/nowhere", at_ns("0")) == "undefined");
  for (const char* ns : {"0", "1706572800000000000", "1709164800000000000", "1711846799999999999",
                         "1735689599000000000", "-1", "9223372036854775807", "1.5e18",
                         "9223372036854775808", "\"1706572800000000000\""})
    site().ask("months", at_ns(ns));
}

// package.test/case/case of all failed cases, as OPA reports them.
std::set<std::string> failed_cases(const json::value& results, const std::string& name) {
  std::set<std::string> failed;
  for (const auto& [note, result] : results.as_object())
    if (const json::value& inner = at(result, "sub_results"); inner.is_object())
      failed.merge(failed_cases(inner, name + "/" + std::string(note)));
    else if (at(result, "fail") == json::value(true))
      failed.insert(name + "/" + std::string(note));
  return failed;
}

TEST_CASE("a case that does not hold is red on this machine, at the registry and for opa test") {
  const std::string policy =
      "package cases\n\ndefault allow := false\n\nallow if input.user in {\"u-1\", \"u-2\"}\n";
  const std::string tests = R"(package cases_test

test_named[note] if {
	some note, tc in {"known": {"user": "u-1", "want": true}, "stranger": {"user": "eve", "want": true}}
	tc.want == data.cases.allow with input as tc
}

test_deep[place][user] if {
	some place, users in {"shop": ["u-1", "u-2"], "bank": ["u-2", "u-3"]}
	some user in users
	data.cases.allow with input.user as user
}

test_all_hold[note] if {
	some note, user in {"one": "u-1", "two": "u-2"}
	data.cases.allow with input.user as user
}
)";
  const fs::path model = site().write_model(
      "cases", {{"cases/policy.rego", policy}, {"cases/policy_test.rego", tests}});
  const char* opa = std::getenv("NOTP_OPA");
  REQUIRE(opa != nullptr);
  const CommandResult theirs = run_command({opa, "test", "--format", "json", model.string()});
  CHECK(theirs.status == 2);
  std::set<std::string> expected;
  for (const json::value& test : must(parse_json(theirs.output)).as_array())
    if (const json::value& results = at(test, "sub_results"); results.is_object())
      expected.merge(failed_cases(
          results, fmt::format("{}.{}", text_at(test, "package"), text_at(test, "name"))));
  CHECK(expected == std::set<std::string>{"data.cases_test.test_deep/bank/u-3",
                                          "data.cases_test.test_named/stranger"});

  const CliResult judged = site().validate(model);
  CHECK(judged.status == 3);
  std::set<std::string> ours;
  const json::value report = must(parse_json(judged.output));
  for (const json::value& test : report.at("results").as_array())
    if (text_at(test, "outcome") == "fail")
      ours.insert(fmt::format("{}.{}", text_at(test, "package"), text_at(test, "name")));
  CHECK(ours == expected);
  const CliResult refused = site().stack.publish(model, DecisionSite::ledger("cases"));
  CHECK(refused.status == 3);
  for (const char* name : {"stranger", "u-3"}) CHECK(refused.error.contains(name));

  must(
      write_file(model / "cases/policy.rego",
                 "package cases\n\nallow if input.user in {\"u-1\", \"u-2\", \"u-3\", \"eve\"}\n"));
  CHECK(run_command({opa, "test", model.string()}).status == 0);
  site().publish("cases", model);
  CHECK(site().ask("cases/allow", R"({"user": "eve"})") == "true");
}

}  // namespace
}  // namespace notp
