// Typical repositories, unchanged, with `notp validate`, `notp init` and `notp publish`.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "tests/support/process/git.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPolicy =
    "package shop\n\ndefault allow := false\n\nallow if input.user in data.shop.users\n";

std::string manifest(std::string_view version = "1.0", std::string_view roots = R"("shop")") {
  return fmt::format(
      R"({{"metadata": {{"name": "shop"}}, "runtimes": {{"rego": {{"language": {{"name": "rego", "version": "{}"}}}}}},
          "partitions": {{"/": {{"runtime": "rego"}}}}, "roots": [{}]}})",
      version, roots);
}

struct Repository {
  Shell shell;

  Repository() {
    put("manifest.json", manifest());
    put("shop/policy.rego", kPolicy);
    put("shop/data.json", R"({"users": ["u-1"]})");
  }
  fs::path top() const { return shell.path("model"); }
  void put(const std::string& path, std::string_view text) {
    must(make_folders((top() / path).parent_path()));
    must(write_file(top() / path, text));
  }
  json::value validate(int status) {
    const Ran ran = shell.notp({"validate", "model", "-o", "json"});
    CHECK_MESSAGE(ran.status == status, ran.output << ran.error);
    CHECK(ran.error.empty());
    return parsed(ran.output);
  }
  // "path:line: message" of all findings, or of warnings.
  std::vector<std::string> lines(const json::value& report, std::string_view member) {
    std::vector<std::string> lines;
    for (const json::value& each : report.at(member).as_array())
      lines.push_back(fmt::format("{}:{}: {}", text_at(each, "path"), number_at(each, "line"),
                                  text_at(each, "message")));
    return lines;
  }
  std::vector<std::string> findings() { return lines(validate(3), "findings"); }
  std::vector<std::string> warnings() { return lines(validate(0), "warnings"); }
};

bool some(const std::vector<std::string>& lines, std::string_view front, std::string_view part) {
  return std::ranges::any_of(lines, [&](const std::string& line) {
    return line.starts_with(front) && line.contains(part);
  });
}

TEST_CASE("a repository with README, CI and linter settings is valid as it is") {
  Repository repository;
  for (const char* path :
       {"README.md", "LICENSE", "CODEOWNERS", "Makefile", ".github/workflows/ci.yaml",
        ".regal/config.yaml", ".gitignore", ".editorconfig", "shop/README.md",
        "shop/testdata/case1.json", "shop/policy.rego~"})
    repository.put(path, "x\n");
  const Ran text = repository.shell.notp({"validate", "model"});
  CHECK_MESSAGE(text.status == 0, text.output << text.error);
  CHECK(std::ranges::count(text.error, '\n') == 1);
  CHECK(text.error.contains("left out"));
  CHECK(text.error.contains("and 7 more"));
  const Ran verbose = repository.shell.notp({"validate", "-v", "model"});
  CHECK(verbose.output.contains("left out: shop/testdata/: fixtures of tests"));
  CHECK(verbose.output.contains("left out: README.md: "));
  const json::value report = repository.validate(0);
  CHECK(report.at("left_out").as_array().size() == 11);
  CHECK(report.at("files").to_number<int>() == 3);
  // And files that should not be published either.
  repository.put("drafts/idea.rego", "package idea\n");
  CHECK(some(repository.findings(), "drafts/idea.rego", "outside of the manifest's roots"));
  repository.put(".notpignore", "# not ready\n/drafts/\n");
  repository.validate(0);
}

TEST_CASE("files that differ from a model's by a letter are named with what to do") {
  Repository repository;
  repository.put("shop/data.yml", "a: 1\n");
  repository.put("shop/More.REGO", kPolicy);
  repository.put("shop/roles.json", "{}");
  const auto warnings = repository.warnings();
  CHECK(some(warnings, "shop/data.yml", "rename it to shop/data.yaml"));
  CHECK(some(warnings, "shop/More.REGO", "rename it to shop/More.rego"));
  CHECK(some(warnings, "shop/roles.json", "shop/roles/data.json"));
  CHECK(repository.shell.notp({"validate", "model"}).output.contains("warning: left-out: "));
}

TEST_CASE("a checkout where all files are executable, and links of a mounted ConfigMap") {
  Repository repository;
  for (const char* path : {"manifest.json", "shop/policy.rego", "shop/data.json"})
    REQUIRE(::chmod((repository.top() / path).c_str(), 0755) == 0);
  const json::value before = repository.validate(0);
  fs::rename(repository.top() / "shop", repository.top() / "..2026_07_01");
  fs::create_symlink("..2026_07_01", repository.top() / "..data");
  must(make_folders(repository.top() / "shop"));
  for (const char* name : {"policy.rego", "data.json"})
    fs::create_symlink(fs::path("../..data") / name, repository.top() / "shop" / name);
  CHECK(repository.validate(0).at("content_root") == before.at("content_root"));
  fs::create_symlink("/etc/hosts", repository.top() / "shop/more.rego");
  CHECK(some(repository.findings(), "shop/more.rego", "symbolic link"));
}

TEST_CASE("tests have the packages and folders that opa test and its linter ask for") {
  Repository repository;
  repository.put(
      "shop/policy_test.rego",
      "package shop_test\n\ntest_it if data.shop.allow with input as {\"user\": \"u-1\"}\n");
  repository.put(
      "tests/more.rego",
      "package tests.shop\n\ntest_all if every u in data.tests.users { data.shop.allow with "
      "input as {\"user\": u} }\n");
  repository.put("tests/data.json", R"({"users": ["u-1"]})");
  const json::value report = repository.validate(0);
  CHECK(report.at("tests").at("passed").to_number<int>() == 2);
  // Nodes do not have them: a policy must not need them.
  repository.put("shop/more.rego", "package shop.more\n\nallow if data.shop_test.known\n");
  repository.put("shop/known_test.rego", "package shop_test\n\nknown := true\n");
  CHECK(some(repository.findings(), "shop/more.rego", "defined by test code alone"));
  repository.put("shop/more.rego", "package shop.more\n\nallow if \"u-1\" in data.tests.users\n");
  CHECK(some(repository.findings(), "shop/more.rego", "data.tests.users"));
  repository.put("shop/more.rego", "package shop.more\n\nallow if helped\n");
  repository.put("shop/more_test.rego", "package shop.more\n\nhelped := true\n");
  CHECK(some(repository.findings(), "shop/more.rego:3:", "var helped is unsafe"));
}

TEST_CASE("another encoding is called one, with the way out of it") {
  Repository repository;
  repository.put("shop/data.json", "\xEF\xBB\xBF{\"users\": [\"u-1\"]}");
  CHECK(some(repository.findings(), "shop/data.json:1:", "byte order mark"));
  repository.put("shop/data.json", R"({"users": ["u-1"]})");
  // OPA accepts these.
  repository.put("shop/policy.rego", "\xEF\xBB\xBF" + std::string(kPolicy));
  repository.put("shop/labels/data.yaml",
                 "\xEF\xBB\xBF"
                 "a: 1\n");
  repository.validate(0);
  using namespace std::string_literals;
  repository.put("shop/labels/data.yaml",
                 "\xFF\xFE"
                 "a\0:\0 \0"
                 "1\0\n\0"s);
  repository.put("shop/policy.rego", "p\0a\0c\0k\0a\0g\0e\0 \0s\0\n\0"s);
  repository.put("shop/data.json", "{\"users\": [\n  \"Ren\xE9\"]}");
  const auto findings = repository.findings();
  CHECK(some(findings, "shop/labels/data.yaml:1:", "iconv -f UTF-16 -t UTF-8"));
  CHECK(some(findings, "shop/policy.rego:1:", "iconv -f UTF-16LE -t UTF-8"));
  CHECK(some(findings, "shop/data.json:2:", "0xE9"));
  CHECK(some(findings, "shop/data.json:2:", "iconv -f ISO-8859-1 -t UTF-8"));
  repository.put("shop/policy.rego", kPolicy);
  repository.put("manifest.json", "\xEF\xBB\xBF" + manifest());
  CHECK(some(repository.findings(), "manifest.json:1:", "byte order mark"));
}

TEST_CASE("a migration is met by all findings at once, each with the way") {
  Repository repository;
  repository.put("shop/policy.rego",
                 "package shop\n\nallow { input.a }\n\nnames[x] { x := input.b }\n");
  repository.put("shop/more.rego", "package shop.more\n\nallow { input.a }\n");
  repository.put("shop/labels/data.yaml",
                 "base: &base\n  a: 1\nfirst:\n  <<: *base\nsecond: *base\nthird: yes\n");
  const json::value report = repository.validate(3);
  const auto findings = repository.lines(report, "findings");
  CHECK(some(findings, "shop/policy.rego:3:", "if"));
  CHECK(some(findings, "shop/policy.rego:5:", "contains"));
  CHECK(some(findings, "shop/more.rego:3:", "if"));
  CHECK(some(findings, ":0: shop/more.rego, shop/policy.rego", "opa fmt --write --v0-v1"));
  for (const char* place :
       {"shop/labels/data.yaml:1:", "shop/labels/data.yaml:4:", "shop/labels/data.yaml:5:"})
    CHECK_MESSAGE(some(findings, place, "explode(.)"), place);
  CHECK(some(findings, "shop/labels/data.yaml:6:", "yes"));
}

TEST_CASE(
    "key sets: one odd entry is a warning, a private one is not, and places have advice that "
    "works") {
  Repository repository;
  repository.put("manifest.json", manifest("1.0", R"("shop", "keys")"));
  repository.put(
      "keys/partner/data.json",
      R"({"keys": [{"kid": "a", "use": "sig"}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
                              {"kty": "PQ", "pub": "AA"}, {"kty": "EC", "crv": "P-256"}]})");
  const auto warnings = repository.warnings();
  CHECK(warnings.size() >= 3);
  CHECK(some(warnings, "keys/partner/data.json", "keys[0] (kid \"a\") cannot be read"));
  CHECK(some(warnings, "keys/partner/data.json", "refuse the whole set"));
  repository.put("keys/login/jwks.json", R"({"keys": []})");
  CHECK(some(repository.warnings(), "keys/login/jwks.json", "move it to keys/login/data.json"));
  repository.put("keys/login/realms/orders/data.json", R"({"keys": []})");
  CHECK(some(repository.findings(), "keys/login/realms/orders/data.json",
             "move it to keys/login-realms-orders/data.json"));
  must(make_folders(repository.top() / "keys/login-realms-orders"));
  fs::rename(repository.top() / "keys/login/realms/orders/data.json",
             repository.top() / "keys/login-realms-orders/data.json");
  repository.validate(0);
  repository.put("keys/partner/data.json", R"({"keys": [{"kid": "a", "d": "AA"}]})");
  CHECK(some(repository.findings(), "keys/partner/data.json", "private member"));
}

TEST_CASE("notp init adds to a folder of policies what it lacks, and nothing else") {
  Repository repository;
  fs::remove(repository.top() / "manifest.json");
  repository.put("shop/other.rego", "package shop.other\n\nx := 1\n");
  repository.put("people/data.yaml", "ada: 1\n");
  repository.put("shop/policy_test.rego", "package shop_test\n\ntest_it if not data.shop.allow\n");
  const Ran made = repository.shell.notp({"init", "model", "--ledger", kShop});
  CHECK_MESSAGE(made.status == 0, made.error);
  CHECK(made.output.contains("data roots: people, shop"));
  CHECK(made.output.contains("manifest.json"));
  const json::value report = repository.validate(0);
  CHECK(report.at("roots") == json::array({"people", "shop"}));
  CHECK(report.at("name") == "shop");
  const std::string manifest_text = read_text(repository.top() / "manifest.json");
  CHECK(repository.shell.notp({"init", "model", "--ledger", "100000000000/other"}).status == 0);
  CHECK(read_text(repository.top() / "manifest.json") == manifest_text);
  // Policies from before OPA 1.0 are valid unchanged.
  fs::remove(repository.top() / "manifest.json");
  repository.put("shop/other.rego", "package shop.other\n\nallow { input.a }\n");
  repository.put("shop/policy.rego",
                 "package shop\n\nallow { input.user == data.shop.users[_] }\n");
  repository.put("shop/policy_test.rego", "package shop_test\n\ntest_it { not data.shop.allow }\n");
  const Ran old = repository.shell.notp({"init", "model", "--ledger", kShop});
  CHECK_MESSAGE(old.output.contains("Rego v0"), old.output << old.error);
  repository.validate(0);
}

TEST_CASE("a bundle is taken over: its folder, and its archive") {
  Stack stack;
  stack.start_registry();
  const fs::path bundle = stack.file("shop-bundle");
  must(make_folders(bundle / "shop"));
  must(write_file(bundle / ".manifest", R"({"revision": "r1", "roots": ["shop"]})"));
  must(write_file(bundle / "shop/policy.rego", kPolicy));
  must(write_file(bundle / "shop/data.json", R"({"users": ["u-1"]})"));
  const fs::path archive = stack.file("shop-bundle.tar.gz");
  REQUIRE(run_command({"tar", "czf", archive.string(), "-C", bundle.string(), "."}).status == 0);
  const CliResult folder = stack.notp("alice", {"validate", bundle}),
                  packed = stack.notp("alice", {"validate", archive});
  CHECK_MESSAGE(folder.status == 0, folder.output << folder.error);
  CHECK_MESSAGE(packed.status == 0, packed.output << packed.error);
  CHECK(text_at(folder.document, "content_root") == text_at(packed.document, "content_root"));
  CHECK(stack.notp("alice", {"plan", archive, "--ledger", kShop}).status == 0);
  const CliResult first = stack.notp("alice", {"publish", archive, "--ledger", kShop, "-m", "r1"});
  REQUIRE_MESSAGE(first.status == 0, first.error);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(agent.decide("shop/allow", json::object{{"user", "u-1"}}) == json::value(true));
  // An archive does not name its source.
  must(write_file(bundle / "shop/data.json", R"({"users": ["u-2"]})"));
  REQUIRE(run_command({"tar", "czf", archive.string(), "-C", bundle.string(), "."}).status == 0);
  const CliResult unsaid = stack.notp("alice", {"publish", archive, "--ledger", kShop});
  CHECK(unsaid.status == 4);
  CHECK(unsaid.error.contains("--base v1"));
  CHECK(stack.notp("alice", {"publish", archive, "--ledger", kShop, "--base", "v1"}).status == 0);
}

TEST_CASE(
    "a repository with files beside the model is published from a fresh clone by Git's word") {
  Stack stack;
  stack.start_registry();
  const fs::path model = write_shop_model(stack);
  must(write_file(model / "README.md", "the shop\n"));
  must(write_file(model / ".notpignore", "drafts/\n"));
  must(make_folders(model / "drafts"));
  must(write_file(model / "drafts/x.rego", "package x\n"));
  must(make_folders(model / "tests"));
  must(write_file(
      model / "tests/shop.rego",
      "package tests.shop\n\ntest_it if data.shop.allow with input as data.tests.one\n"));
  must(write_file(model / "tests/data.json", R"({"one": {"user": "u-1"}})"));
  REQUIRE(::chmod((model / "shop/policy.rego").c_str(), 0755) == 0);
  fs::create_symlink("../README.md", model / "shop/NOTES.md");
  git(model, {"init", "-q", "-b", "main"});
  git(model, {"add", "-A"});
  git(model, {"commit", "-q", "-m", "all"});
  const CliResult first = stack.notp("alice", {"publish", model, "--ledger", kShop, "-m", "1"});
  REQUIRE_MESSAGE(first.status == 0, first.error);
  git(stack.folder(), {"clone", "-q", "file://" + model.string(), "clone"});
  set_users(stack.file("clone"), R"("u-1", "u-2", "u-3")");
  const CliResult second =
      stack.notp("alice", {"publish", stack.file("clone"), "--ledger", kShop, "-m", "2"});
  REQUIRE_MESSAGE(second.status == 0, second.error);
  // Files that are only for tests do not reach a node.
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(stack.becomes_active(agent, kShop, 2));
  CHECK(agent.decide("shop/allow", json::object{{"user", "u-3"}}) == json::value(true));
  CHECK_FALSE(agent.decide("tests", json::object{}).has_value());
}

}  // namespace
}  // namespace notp
