// protocol/model: manifests, folders, and what makes a model valid.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/model/keys.hpp"
#include "protocol/model/package.hpp"
#include "protocol/model/validate.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/notp/publish/model_folder.hpp"

using namespace notp;
using namespace std::string_literals;

namespace {

using samples::Texts;

const std::string kManifest = R"({
  "metadata": {"name": "m"},
  "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
  "partitions": {"/": {"runtime": "rego"}},
  "roots": ["authz", "keys"]
})";

const std::string kPolicy =
    "package authz\n\ndefault allow := false\n\nallow if input.user == \"alice\"\n";

model::ModelReport validate(const Texts& texts) {
  const model::ModelContent content = samples::model_of(texts);
  auto report = model::validate_model(*content.tree, content.loader(), &test_checker());
  REQUIRE_MESSAGE(report.has_value(), report.error().message);
  return *std::move(report);
}

// A valid model overlaid with `extra`; an empty text removes a file.
model::ModelReport validate_with(const Texts& extra) {
  Texts texts{{"manifest.json", kManifest}, {"policies/allow.rego", kPolicy}};
  for (const auto& [path, text] : extra) texts[path] = text;
  std::erase_if(texts, [](const auto& file) { return file.second.empty(); });
  return validate(texts);
}

const model::ModelFinding* find_rule(const model::ModelReport& report, std::string_view rule) {
  const auto found = std::ranges::find(report.findings, rule, &model::ModelFinding::rule);
  return found == report.findings.end() ? nullptr : &*found;
}

// Exactly the expected finding.
void check_finding(const model::ModelReport& report, std::string_view path, std::string_view rule,
                   std::string_view words) {
  CAPTURE(model::findings_text(report.findings));
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].path == path);
  CHECK(report.findings[0].rule == rule);
  CHECK(report.findings[0].message.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("a manifest is read as its schema says") {
  const auto manifest = model::Manifest::parse(R"({
    "metadata": {"name": "payments", "description": "d", "author": "a", "license": "Apache-2.0"},
    "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
    "partitions": {"/": {"runtime": "rego"}, "/eu/west": {"runtime": "rego"}},
    "roots": ["keys/acme", "authz"]})");
  REQUIRE_MESSAGE(manifest.has_value(), manifest.error().message);
  CHECK(manifest->name == "payments");
  CHECK(manifest->license == "Apache-2.0");
  CHECK(manifest->runtimes.at("rego") == "1.0");
  CHECK(manifest->partitions.at("/eu/west") == "rego");
  CHECK(manifest->data_roots == std::vector<std::string>{"authz", "keys/acme"});
}

TEST_CASE("manifest violations") {
  const std::string kRuntimes =
      R"("runtimes":{"rego":{"language":{"name":"rego","version":"1"}}},)";
  const auto with = [&](const std::string& partitions, const std::string& roots) {
    return R"({"metadata":{"name":"m"},)" + kRuntimes + R"("partitions":)" + partitions +
           R"(,"roots":)" + roots + "}";
  };
  const std::string kRoot = R"({"/":{"runtime":"rego"}})";
  REQUIRE(model::Manifest::parse(with(kRoot, R"(["a"])")));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "line 1"},
      {"[]", "object"},
      {"{}", "metadata"},
      {"{\n  \"roots\": [],\n  \"roots\": []}", "line 3"},
      {with(kRoot, "[]"), "/roots"},
      {with(kRoot, R"([""])"), "/roots/0"},
      {with(kRoot, R"(["/a"])"), "/roots/0"},
      {with(kRoot, R"(["a/"])"), "/roots/0"},
      {with(kRoot, R"(["a//b"])"), "/roots/0"},
      {with(kRoot, R"(["../a"])"), "/roots/0"},
      {with(kRoot, R"(["a b"])"), "/roots/0"},
      {with(kRoot, R"(["a\n"])"), "/roots/0"},
      {with(kRoot, R"([7])"), "/roots/0"},
      {with(kRoot, R"(["a", "a"])"), "/roots"},
      {with(kRoot, R"(["a", "b", "a/c"])"), "lies inside"},
      {with(kRoot, R"(["system"])"), "reserved"},
      {with(kRoot, R"(["system/notp"])"), "reserved"},
      {with("{}", R"(["a"])"), "/partitions"},
      {with(R"({"/":{"runtime":"cedar"}})", R"(["a"])"), "cedar"},
      {with(R"({"/":{"runtime":"rego"},"/a/../b":{"runtime":"rego"}})", R"(["a"])"), "segment"},
      {with(R"({"/":{"runtime":"rego"},"eu":{"runtime":"rego"}})", R"(["a"])"), "/partitions"},
      {with(kRoot, R"(["a"], "more": 1)"), "more"},
  };
  for (const auto& [text, words] : cases) {
    CAPTURE(text);
    const auto manifest = model::Manifest::parse(text);
    REQUIRE_FALSE(manifest);
    CHECK(manifest.error().code == ErrorCode::kInvalidModel);
    CHECK_MESSAGE(manifest.error().message.find(words) != std::string::npos,
                  manifest.error().message);
  }
  CHECK(model::Manifest::parse(with(kRoot, R"(["systems", "a", "ab", "a-b"])")));
  CHECK(model::Manifest::parse(with(kRoot, R"(["a", "system/log"])")));
  const auto two =
      model::Manifest::parse(R"({"metadata":{},"runtimes":7,"partitions":{},"roots":[]})");
  REQUIRE_FALSE(two);
  CHECK(std::ranges::count(two.error().message, '\n') == 3);
}

namespace {

// A manifest with these decisions, of the roots a and b/c.
std::string with_decisions(const std::string& decisions) {
  return R"({"metadata":{"name":"m"},"runtimes":{"rego":{"language":{"name":"rego","version":"1"}}},)"
         R"("partitions":{"/":{"runtime":"rego"}},"roots":["a","b/c"],"decisions":)" +
         decisions + "}";
}

std::string repeated(size_t count, const std::function<std::string(size_t)>& element) {
  std::string list = "[";
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + element(i);
  return list + "]";
}

}  // namespace

TEST_CASE("a manifest says how decisions are recorded") {
  const auto manifest = model::Manifest::parse(with_decisions(R"({
      "strict": ["b/c/pay", "a"], "drop": ["a/health"],
      "mask": ["/input/password", {"op": "remove", "path": "/result"},
               {"op": "commit", "path": "/input/users/*/e~1mail"},
               {"op": "upsert", "path": "/nd_builtin_cache/http.send/*", "value": {"x": [1, null]}},
               {"op": "upsert", "path": "/input/", "value": null}],
      "retain_days": {"min": 30, "max": 400}})"));
  REQUIRE_MESSAGE(manifest.has_value(), manifest.error().message);
  const model::DecisionTerms& terms = manifest->decisions;
  CHECK(terms.strict == std::vector<std::string>{"a", "b/c/pay"});
  CHECK(terms.drop == std::vector<std::string>{"a/health"});
  REQUIRE(terms.mask.size() == 5);
  CHECK(terms.mask[0] == model::MaskRule{model::MaskOp::kRemove, "/input/password", {}});
  CHECK(terms.mask[1] == model::MaskRule{model::MaskOp::kRemove, "/result", {}});
  CHECK(terms.mask[2] == model::MaskRule{model::MaskOp::kCommit, "/input/users/*/e~1mail", {}});
  CHECK(terms.mask[3] == model::MaskRule{model::MaskOp::kUpsert, "/nd_builtin_cache/http.send/*",
                                         R"({"x":[1,null]})"});
  CHECK(terms.mask[4].value == "null");
  CHECK(terms.retain_days_min == 30);
  CHECK(terms.retain_days_max == 400);
  CHECK(model::Manifest::parse(with_decisions("{}"))->decisions == model::DecisionTerms());
  const auto full = repeated(limits::kMaskRulesMax, [](size_t) { return R"("/input/a")"; });
  CHECK(model::Manifest::parse(with_decisions(R"({"mask":)" + full + "}")));
}

TEST_CASE("violations in how decisions are recorded") {
  const auto path = [](size_t i) { return fmt::format("\"a/{}\"", i); };
  const std::string lengthy(limits::kMaskRuleBytesMax - 1, 'x');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[]", "/decisions"},
      {R"({"keep": 1})", "keep"},
      {R"({"strict": ["c"]})", "/decisions/strict: \"c\" is outside"},
      {R"({"strict": ["b"]})", "/decisions/strict: \"b\" is outside"},
      {R"({"drop": ["ab/c"]})", "/decisions/drop: \"ab/c\" is outside"},
      {R"({"drop": ["a", "a"]})", "/decisions/drop"},
      {R"({"drop": ["/a"]})", "/decisions/drop/0"},
      {R"({"drop": ["a/b"], "strict": ["a/b"]})", "both strict and dropped"},
      {R"({"strict": )" + repeated(limits::kStrictPathsMax + 1, path) + "}", "/decisions/strict"},
      {R"({"mask": ["input/a"]})", "/decisions/mask/0"},
      {R"({"mask": ["/inputs/a"]})", "/decisions/mask/0"},
      {R"({"mask": ["/input/a~"]})", "/decisions/mask/0"},
      {R"({"mask": ["/input/a~2"]})", "~0"},
      {R"({"mask": [{"path": "/input/a"}]})", "/decisions/mask/0"},
      {R"({"mask": [{"op": "replace", "path": "/input/a"}]})", "/decisions/mask/0"},
      {R"({"mask": [{"op": "upsert", "path": "/input/a"}]})", "upsert"},
      {R"({"mask": [{"op": "remove", "path": "/input/a", "value": 1}]})", "upsert"},
      {R"({"mask": [{"op": "upsert", "path": "/input", "value": ")" + lengthy + "\"}]}", "bytes"},
      {R"({"mask": )" +
           repeated(limits::kMaskRulesMax + 1, [](size_t) { return R"("/input/a")"; }) + "}",
       "/decisions/mask"},
      {R"({"retain_days": {"min": -1}})", "/decisions/retain_days/min"},
      {R"({"retain_days": {"max": 0}})", "/decisions/retain_days/max"},
      {R"({"retain_days": {"min": 9, "max": 8}})", "less than min"},
  };
  for (const auto& [decisions, words] : cases) {
    CAPTURE(decisions);
    const auto manifest = model::Manifest::parse(with_decisions(decisions));
    REQUIRE_FALSE(manifest);
    CHECK(manifest.error().code == ErrorCode::kInvalidModel);
    CHECK_MESSAGE(manifest.error().message.find(words) != std::string::npos,
                  manifest.error().message);
  }
  // Each has a line, so that all are found at once; the finding is one of the manifest.
  const auto report = validate_with(
      {{"manifest.json", with_decisions(R"({"strict":["x"],"drop":["y"],"mask":["/input/~"]})")},
       {"policies/allow.rego", "package a\n"}});
  REQUIRE(report.findings.size() == 3);
  CHECK(report.findings[0].rule == "manifest-schema");
  CHECK(report.findings[0].path == "manifest.json");
}

TEST_CASE("data roots contain themselves and what is below") {
  CHECK(model::roots_contain({"a/b"}, "a/b"));
  CHECK(model::roots_contain({"a/b"}, "a/b/c"));
  CHECK_FALSE(model::roots_contain({"a/b"}, "a"));
  CHECK_FALSE(model::roots_contain({"a/b"}, "a/bc"));
  CHECK(model::roots_overlap({"a", "b/c"}, {"d", "b"}) == "b/c and b");
  CHECK(model::roots_overlap({"a"}, {"a"}) == "a and a");
  CHECK(model::roots_overlap({"a"}, {"ab", "b/a"}).empty());
}

TEST_CASE("the package of a module, whatever stands before it") {
  CHECK(model::package_of("package a.b\n") == model::DataPath{"a", "b"});
  CHECK(model::package_of("\xEF\xBB\xBF# x\n\n  package a[\"b-c\"].d # e\nx := 1\n") ==
        model::DataPath{"a", "b-c", "d"});
  CHECK(model::package_of("package\ta") == model::DataPath{"a"});
  CHECK_FALSE(model::package_of("x := 1\npackage a\n"));
  CHECK_FALSE(model::package_of("package a.\n"));
  CHECK_FALSE(model::package_of("package a[b]\n"));
  CHECK_FALSE(model::package_of(""));
}

TEST_CASE("a valid model passes, its tests counted") {
  const auto report = validate_with(
      {{"policies/allow_test.rego",
        "package authz.allow_test\n\nimport data.authz\n\ntest_alice if authz.allow with input as "
        "{\"user\": \"alice\"}\n\ntest_other if not authz.allow with input as {\"user\": "
        "\"eve\"}\n\n"
        "todo_test_later if false\n"},
       {"authz/users/data.json", R"({"alice": {"age": 7}})"},
       {"authz/limits/data.yaml", "max: 10\nnames: [a, b]\n"},
       {"keys/acme/data.json",
        R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"BB","kid":"1"},{"kty":"RSA","n":"AA","e":"AQAB"}]})"}});
  CHECK_MESSAGE(report.valid(), model::findings_text(report.findings));
  CHECK(report.tests.passed == 2);
  CHECK(report.tests.failed == 0);
  CHECK(report.tests.skipped == 1);
  CHECK(report.test_results.empty());
  CHECK(report.manifest.name == "m");
}

TEST_CASE("data without policies is a model") {
  const auto report =
      validate_with({{"policies/allow.rego", ""}, {"authz/data.json", "{\"a\":1}"}});
  CHECK_MESSAGE(report.valid(), model::findings_text(report.findings));
}

TEST_CASE("files that have no place in a model") {
  for (const std::string path :
       {"README.md", "run.sh", "a/users.json", "a/manifest.json", "data.yml", ".hidden/data.json",
        ".rego", "a/.data.json", ".manifest", "x.REGO", "authz/data.json.bak"}) {
    CAPTURE(path);
    const auto report = validate_with({{path, "{}"}});
    REQUIRE_FALSE(report.findings.empty());
    const model::ModelFinding* finding = find_rule(report, "file-kind");
    REQUIRE(finding);
    CHECK(finding->path == path);
  }
}

TEST_CASE("a model without its manifest, or with a broken one") {
  check_finding(validate_with({{"manifest.json", ""}}), "manifest.json", "manifest-missing", "top");
  const auto broken = validate_with({{"manifest.json", "{\n  \"metadata\": }"}});
  check_finding(broken, "manifest.json", "manifest-schema", "line 2");
  CHECK(broken.findings[0].line == 2);
  CHECK(validate_with({{"manifest.json", "{}"}}).findings.size() == 4);
}

TEST_CASE("a partition must be a folder of the model") {
  const std::string manifest =
      R"({"metadata":{"name":"m"},"runtimes":{"rego":{"language":{"name":"rego","version":"1"}}},
          "partitions":{"/":{"runtime":"rego"},"/policies":{"runtime":"rego"},"/nowhere":{"runtime":"rego"}},
          "roots":["authz"]})";
  check_finding(validate_with({{"manifest.json", manifest}}), "manifest.json", "manifest-partition",
                "/nowhere");
}

TEST_CASE("private and symmetric keys are refused, named, and never quoted") {
  for (const std::string member : {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}) {
    const auto report = validate_with(
        {{"keys/acme/data.json",
          R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"},{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"b7",")" +
              member + R"(":"SECRETVALUE"}]})"}});
    check_finding(report, "keys/acme/data.json", "keys-private", "\"" + member + "\"");
    CHECK(report.findings[0].message.find("keys[1] (kid b7)") != std::string::npos);
    CHECK(report.findings[0].message.find("SECRETVALUE") == std::string::npos);
  }
  const auto symmetric = validate_with({{"keys/acme/data.json", R"({"keys":[{"kty":"oct"}]})"}});
  check_finding(symmetric, "keys/acme/data.json", "keys-private", "keys[0]");
}

TEST_CASE("what is no JWK Set has no place under keys") {
  for (const std::string text : {"[]", "{}", R"({"keys":{}})", R"({"keys":["x"]})",
                                 R"({"keys":[[{"kty":"OKP","d":"x"}]]})"}) {
    CAPTURE(text);
    const auto report = validate_with({{"keys/acme/data.json", text}});
    REQUIRE(find_rule(report, "keys-format"));
    CHECK(find_rule(report, "keys-format")->path == "keys/acme/data.json");
  }
  const std::string kSet = R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"BB"}]})";
  for (const auto& [path, text] : Texts{{"keys/data.json", "{\"acme\":" + kSet + "}"},
                                        {"keys/acme/more/data.json", kSet},
                                        {"keys/acme/data.yaml", "keys: []\n"},
                                        {"data.json", "{\"keys\":{\"acme\":" + kSet + "}}"}}) {
    CAPTURE(path);
    check_finding(validate_with({{path, text}}), path, "keys-format", "keys/<issuer>/data.json");
  }
}

TEST_CASE("a key that the engine cannot read is a warning, which says whom it costs") {
  for (const std::string key :
       {"null", "{}", R"({"kty":7})", R"({"kty":"PQ"})", R"({"kty":"RSA","e":"AQAB"})",
        R"({"kty":"EC","crv":"P-999","x":"AA","y":"AA"})",
        R"({"kty":"OKP","crv":"Ed25519","x":"AA"})"}) {
    CAPTURE(key);
    const auto report = validate_with(
        {{"keys/acme/data.json",
          R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"6aCrVplEjXlkxKuYlJ3JjhjxilQbmbgLBc7DUVJ_PmI"},)" +
              key + "]}"}});
    CHECK(report.valid());
    REQUIRE(report.warnings.size() == 1);
    CHECK(report.warnings[0].rule == "keys-unusable");
    CHECK(report.warnings[0].message.starts_with("keys[1]"));
    CHECK(report.warnings[0].message.contains("refuse the whole set"));
  }
  CHECK(model::key_set_place("keys/login/jwks.json") == "keys/login/data.json");
  CHECK(model::key_set_place("keys/login.json") == "keys/login/data.json");
  CHECK(model::key_set_place("keys/login/realms/orders/data.json") ==
        "keys/login-realms-orders/data.json");
  CHECK(model::key_set_place("shop/keys/data.json").empty());
}

TEST_CASE("data that is not well formed carries its line") {
  std::string deep;
  for (int i = 0; i < 120; ++i) deep += "[";
  for (int i = 0; i < 120; ++i) deep += "]";
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c)
    bomb +=
        fmt::format("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c, char(c - 1));
  const std::vector<std::tuple<std::string, std::string, uint32_t, std::string>> cases = {
      {"authz/data.json", "{\n\"a\": 1,\n\"a\": 2}", 3, "twice"},
      {"authz/data.json", "{\n\"a\": 1,\n}", 3, ""},
      {"authz/data.json", "{} {}", 1, "after the end"},
      {"authz/data.json", "{\"a\": 1e999}", 1, "double"},
      {"authz/data.json", "{\"a\": 123456789012345678901234567890}", 1, "64 bits"},
      {"authz/data.json", "{\"a\": \"\xff\"}", 1, ""},
      {"authz/data.json", "\xef\xbb\xbf{}", 1, ""},
      {"authz/data.json", "{\"a\": NaN}", 1, ""},
      {"authz/data.json", deep, 1, ""},
      {"authz/data.yaml", deep, 1, "deeper"},
      {"authz/data.yaml", bomb, 1, "anchors"},
      {"authz/data.yaml", "a: 1\nb: *a\n", 2, ""},
      {"authz/data.yaml", "a: 1\nb: 2\na: 3\n", 3, "duplicate key"},
      {"authz/data.yaml", "a: !!python/object:os.system x\n", 1, "tag"},
      {"authz/data.yaml", "a: yes\n", 1, "quote it"},
      {"authz/data.yaml", "a: [1\n", 2, ""},
  };
  for (const auto& [path, text, line, words] : cases) {
    CAPTURE(text.substr(0, 80));
    auto report = validate_with({{path, text}});
    // For anchors and aliases every line is named.
    if (text == bomb) {
      CHECK(report.findings.size() == 17);
      report.findings.resize(1);
    }
    check_finding(report, path, "data-format", words);
    CHECK(report.findings[0].line == line);
  }
  check_finding(validate_with({{"data.json", "[1]"}}), "data.json", "data-format", "object");
  check_finding(validate_with({{"authz/data.yaml", "a: 1\n---\na: 2\n"}}), "authz/data.yaml",
                "data-format", "more than one");
}

TEST_CASE("YAML has a budget of its own") {
  Texts texts;
  for (int i = 0; i < 17; ++i)
    texts[fmt::format("authz/d{:02}/data.yaml", i)] =
        "a: " + std::string(limits::kYamlBytesMax - 3, static_cast<char>('a' + i));
  check_finding(validate_with(texts), "authz/d16/data.yaml", "data-size", "YAML");
  check_finding(validate_with({{"authz/data.yaml", std::string(limits::kYamlBytesMax + 1, '#')}}),
                "authz/data.yaml", "data-format", "allowed");
}

TEST_CASE("folders and documents together stay within the depth that the engine reads") {
  std::string folders = "authz", text = "1";
  for (int i = 0; i < 20; ++i) folders += "/a";
  for (int i = 0; i < 90; ++i) text = "{\"a\":" + text + "}";
  const auto report = validate_with({{folders + "/data.json", text}});
  check_finding(report, folders + "/data.json", "data-depth", "deeper");
}

TEST_CASE("data and packages outside of the roots") {
  check_finding(validate_with({{"other/data.json", "{\"a\":1}"}}), "other/data.json", "data-roots",
                "data.other");
  check_finding(validate_with({{"data.json", R"({"authz":{"x":1},"else":1})"}}), "data.json",
                "data-roots", "data.else");
  // A name with a slash is one segment, even if it looks like two when joined.
  check_finding(validate_with({{"data.json", R"({"authz/x":1})"}}), "data.json", "data-roots",
                "authz/x");
  check_finding(validate_with({{"system/data.json", R"({"notp":1})"}}), "system/data.json",
                "data-roots", "data.system");
  check_finding(validate_with({{"p.rego", "package authority\n\nx := 1\n"}}), "p.rego",
                "rego-roots", "package authority");
  CHECK(validate_with({{"p_test.rego", "package authz_test\n\ntest_x if true\n"}}).valid());
  CHECK(validate_with({{"tests/p.rego", "package tests.authz\n\ntest_x if data.tests.on\n"},
                       {"tests/data.json", R"({"on":true})"}})
            .valid());
  // Within the roots all data is data, and a folder whose name resembles tests is not one.
  check_finding(validate_with({{"mytests/data.json", "{\"a\":1}"}}), "mytests/data.json",
                "data-roots", "data.mytests");
  CHECK(validate_with({{"data.json", R"({"authz":{"x":1}})"}}).valid());
  CHECK(validate_with({{"authz/a/data.json", "[1]"}}).valid());
}

TEST_CASE("documents that meet") {
  const auto clash =
      validate_with({{"authz/data.json", R"({"b":1})"}, {"authz/b/data.json", R"({"c":1})"}});
  check_finding(clash, "authz/data.json", "data-clash",
                "authz/b/data.json and authz/data.json both");
  check_finding(
      validate_with({{"authz/a/data.json", "{\"x\":1}"}, {"authz/a/data.yaml", "x: 1\n"}}),
      "authz/a/data.yaml", "data-clash", "data.authz.a.x");
}

TEST_CASE("documents join as OPA joins them") {
  const model::ModelContent model = samples::model_of({{"manifest.json", kManifest},
                                                       {"data.json", R"({"authz":{"top":1}})"},
                                                       {"authz/data.json", R"({"b":{"x":1}})"},
                                                       {"authz/b/data.yaml", "z: [1, two]\n"},
                                                       {"list/data.json", "[1,2]"}});
  const auto merged = model::merge_data(*model.tree, model.loader());
  REQUIRE_MESSAGE(merged.has_value(), merged.error().message);
  CHECK(*merged == *parse_json(R"({"authz":{"top":1,"b":{"x":1,"z":[1,"two"]}},"list":[1,2]})"));
  const model::ModelContent bad =
      samples::model_of({{"a/data.json", R"({"b":[]})"}, {"a/b/data.json", "{}"}});
  const auto clash = model::merge_data(*bad.tree, bad.loader());
  REQUIRE_FALSE(clash);
  CHECK(clash.error().code == ErrorCode::kInvalidModel);
  CHECK(clash.error().message.find("a/b/data.json and a/data.json") != std::string::npos);
  const model::ModelContent top = samples::model_of({{"data.json", "[]"}});
  CHECK_FALSE(model::merge_data(*top.tree, top.loader()));
}

TEST_CASE("policies that do not compile name file and line") {
  const auto syntax = validate_with({{"p.rego", "package authz\n\nx := {\n"}});
  REQUIRE(find_rule(syntax, "rego-compile"));
  CHECK(find_rule(syntax, "rego-compile")->path == "p.rego");
  CHECK(find_rule(syntax, "rego-compile")->line >= 3);
  const auto unsafe = validate_with({{"p.rego", "package authz\n\nx if y == 1\n"}});
  REQUIRE(find_rule(unsafe, "rego-compile"));
  CHECK(find_rule(unsafe, "rego-compile")->path == "p.rego");
  CHECK(find_rule(unsafe, "rego-compile")->line == 3);
  const auto bytes = validate_with({{"p.rego", "package authz\n# \xff\n"}});
  REQUIRE(find_rule(bytes, "rego-format"));
  CHECK(find_rule(bytes, "rego-format")->line == 2);
  const auto large =
      validate_with({{"p.rego", "package authz\n" + std::string(limits::kRegoFileBytesMax, '#')}});
  check_finding(large, "p.rego", "rego-size", "allowed");
}

TEST_CASE("a failing test refuses the model") {
  const auto report = validate_with(
      {{"t_test.rego", "package authz.t_test\n\ntest_good if true\n\ntest_bad if 1 == 2\n"}});
  check_finding(report, "t_test.rego", "test-failed", "test_bad");
  CHECK(report.findings[0].line == 5);
  CHECK(report.tests.passed == 1);
  CHECK(report.tests.failed == 1);
  CHECK(model::findings_text(report.findings).starts_with("t_test.rego:5: test-failed: "));
}

TEST_CASE("findings are sorted and cut at their limit") {
  Texts texts;
  for (int i = 0; i < 150; ++i) texts[fmt::format("f{:03}.txt", i)] = "x";
  const auto report = validate_with(texts);
  REQUIRE(report.findings.size() == limits::kFindingsMax);
  CHECK(report.findings_left_out == 50);
  CHECK(std::ranges::is_sorted(report.findings, {}, &model::ModelFinding::path));
}

TEST_CASE("content that cannot be loaded is an error, not a finding") {
  const model::ModelContent model = samples::model_of({{"manifest.json", kManifest}});
  const auto report = model::validate_model(
      *model.tree,
      [](const Hash&) -> Result<model::Content> { return fail(ErrorCode::kCorrupt, "gone"); },
      &test_checker());
  REQUIRE_FALSE(report);
  CHECK(report.error().code == ErrorCode::kCorrupt);
}

TEST_CASE("rego_paths leaves tests out unless asked") {
  const model::ModelContent model = samples::model_of({{"a.rego", "x"},
                                                       {"a_test.rego", "x"},
                                                       {"b/c.rego", "y"},
                                                       {"data.json", "{}"},
                                                       {"b/tests/d.rego", "z"},
                                                       {"tests/e.rego", "z"},
                                                       {"mytests/f.rego", "z"}});
  CHECK(model::rego_paths(*model.tree, false) ==
        std::vector<std::string>{"a.rego", "b/c.rego", "mytests/f.rego"});
  CHECK(model::rego_paths(*model.tree, true).size() == 6);
}

TEST_CASE("a folder is read as a model, and what could not be one is a finding") {
  namespace fs = std::filesystem;
  const TemporaryFolder temp;
  const fs::path top = temp.path();
  for (const auto* folder :
       {"policies", "authz/users", ".git/objects", ".notp", "sub/.git", "empty"})
    fs::create_directories(top / folder);
  const auto put = [&](const char* path, std::string_view text) {
    REQUIRE(write_file(top / path, text));
  };
  put("manifest.json", kManifest);
  put("policies/allow.rego", kPolicy);
  put("authz/users/data.json", "{}");
  put(".git/objects/x", "x");
  put(".notp/state", "x");
  put("sub/.git/config", "x");
  put("policies/Allow.rego", kPolicy);
  fs::create_symlink("/etc/passwd", top / "link.rego");
  fs::create_directory_symlink("policies", top / "linked");
  REQUIRE(::mkfifo((top / "pipe.rego").c_str(), 0600) == 0);

  const auto read = cli::read_model_folder(top.string());
  REQUIRE_MESSAGE(read.has_value(), read.error().message);
  std::map<std::string, std::string> rules;
  for (const auto& finding : read->findings) rules[finding.path] = finding.rule;
  CHECK(rules == std::map<std::string, std::string>{{"link.rego", "file-link"},
                                                    {"linked/allow.rego", "path-twin"},
                                                    {"pipe.rego", "file-mode"},
                                                    {"policies/allow.rego", "path-twin"}});
  CHECK(read->content.tree->files().size() == 4);
  CHECK(read->content.tree->content_root() == samples::model_of({{"manifest.json", kManifest},
                                                                 {"policies/Allow.rego", kPolicy},
                                                                 {"linked/Allow.rego", kPolicy},
                                                                 {"authz/users/data.json", "{}"}})
                                                  .tree->content_root());
  const auto missing = cli::read_model_folder((top / "nowhere").string());
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kNotFound);
}
