// What a delegation for keys lets a release hold, and what not, by name.
#include <doctest/doctest.h>

#include <functional>

#include "protocol/trust/content_check.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

constexpr std::string_view kManifest =
    R"("metadata":{"name":"keys","description":"of the provider"},
       "runtimes":{"rego":{"language":{"name":"rego","version":"1.0"}}},
       "partitions":{"/":{"runtime":"rego"}},"roots":["keys/login","keys/shop"])";

std::string manifest(const std::string& more = "") {
  return "{" + std::string(kManifest) + (more.empty() ? "" : "," + more) + "}";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

samples::Texts good() {
  return {{"manifest.json", manifest()},
          {"keys/login/data.json",
           R"({"issuer":"https://login.example","keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]})"},
          {"keys/shop/data.json", R"({"keys":[]})"}};
}

struct Case {
  std::string names;  // what the refusal must name
  std::function<void(samples::Texts&, trust::Release&)> change;
};

Result<void> outcome(const Case& each, trust::ContentRule rule) {
  samples::Texts files = good();
  trust::Release release = samples::release();
  release.data_roots = {"keys/login", "keys/shop"};
  each.change(files, release);
  const model::ModelContent content = samples::model_of(files);
  trust::Root root = samples::root();
  root.delegations.front().content = rule;
  return trust::check_content(root, release, *content.tree, content.loader());
}

TEST_CASE("a release of keys holds keys") {
  const Case unchanged{"", [](samples::Texts&, trust::Release&) {}};
  CHECK(outcome(unchanged, trust::ContentRule::kKeys));
  const Case all_of_keys{"", [](samples::Texts& files, trust::Release& release) {
                           release.data_roots = {"keys"};
                           files["manifest.json"] =
                               replaced(manifest(), R"("keys/login","keys/shop")", R"("keys")");
                         }};
  CHECK(outcome(all_of_keys, trust::ContentRule::kKeys));
  const Case for_editors{"", [](samples::Texts& files, trust::Release&) {
                           files["manifest.json"] = manifest(R"("$schema":"x")");
                         }};
  CHECK(outcome(for_editors, trust::ContentRule::kKeys));
}

TEST_CASE("a release of keys holds nothing else, and the refusal names what it holds") {
  using Files = samples::Texts;
  using trust::Release;
  const auto file = [](const std::string& path, const std::string& text) {
    return Case{path, [path, text](Files& files, Release&) { files[path] = text; }};
  };
  const auto member = [](const std::string& name, const std::string& text) {
    return Case{name, [text](Files& files, Release&) { files["manifest.json"] = manifest(text); }};
  };
  const auto set = [](const std::string& names, const std::string& text) {
    return Case{names, [text](Files& files, Release&) { files["keys/login/data.json"] = text; }};
  };
  const auto roots = [](const std::string& names, std::vector<std::string> owned) {
    return Case{names, [owned](Files&, Release& release) { release.data_roots = owned; }};
  };
  const Case cases[] = {
      file("authz/allow.rego", "package authz\n\nallow := true\n"),
      file("keys/login/allow.rego", "package keys.login\n\nallow := true\n"),
      file("keys/login/allow_test.rego", "package keys.login\n"),
      file("keys/allow.rego", "package keys\n"),
      file("authz/data.json", "{}"),
      file("data.json", R"({"authz":{"users":["eve"]}})"),
      file("keys/data.json", R"({"login":{"keys":[]}})"),
      file("keys/login/data.yaml", "keys: []"),
      file("keys/login/more/data.json", R"({"keys":[]})"),
      file("keys/other/data.json", R"({"keys":[]})"),
      file("system/log/data.json", "{}"),
      file("tests/data.json", "{}"),
      file("keys/login/note.txt", "hello"),
      member("decisions", R"("decisions":{"drop":["keys/login"]})"),
      member("decisions", R"("decisions":{"mask":["/input"]})"),
      member("decisions", R"("decisions":{})"),
      member("gate", R"("gate":{"replay":{}})"),
      member("uses", R"("uses":[{"ledger":"273165098782/payments-lib"}])"),
      member("uses", R"("uses":[])"),
      member("capabilities", R"("capabilities":["http.send"])"),
      {"partitions",
       [](Files& files, Release&) {
         files["manifest.json"] = replaced(manifest(), R"("/":{"runtime":"rego"})",
                                           R"("/":{"runtime":"rego"},"/keys":{"runtime":"rego"})");
       }},
      {"manifest.json", [](Files& files, Release&) { files.erase("manifest.json"); }},
      {"manifest.json", [](Files& files, Release&) { files["manifest.json"] = "{"; }},
      {"manifest.json", [](Files& files, Release&) { files["manifest.json"] = "[]"; }},
      {"roots",
       [](Files& files, Release&) {
         files["manifest.json"] = replaced(manifest(), R"("keys/shop")", R"("keys/other")");
       }},
      {"roots",
       [](Files& files, Release&) {
         files["manifest.json"] = replaced(manifest(), R"("keys/shop")", R"("authz")");
       }},
      roots("data root", {}),
      roots("''", {""}),
      roots("authz", {"authz", "keys/login", "keys/shop"}),
      roots("keysx", {"keys/login", "keys/shop", "keysx"}),
      roots("system/log", {"keys/login", "keys/shop", "system/log"}),
      roots("keys/shop/data.json", {"keys/login"}),
      {"100000000000/lib",
       [](Files&, Release& release) { release.uses = {{{100'000'000'000, "lib"}, 1}}; }},
      set("\"d\"", R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"c2VjcmV0"}]})"),
      set("\"k\"", R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})"),
      set("kty oct", R"({"keys":[{"kty":"oct"}]})"),
      set("JWK Set", R"({"users":["eve"]})"),
      set("JWK Set", R"([])"),
      set("keys[0]", R"({"keys":["c2VjcmV0"]})"),
      set("keys/login/data.json", "{"),
      set("bytes", R"({"keys":[],"x":")" + std::string(limits::kKeySetFileBytesMax, 'x') + "\"}"),
  };
  for (const Case& each : cases) {
    CAPTURE(each.names);
    const auto refused = outcome(each, trust::ContentRule::kKeys);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kWrongTarget);
    INFO(refused.error().message);
    CHECK(refused.error().message.contains(each.names));
    CHECK(refused.error().message.contains("'*/*'"));
    CHECK_FALSE(refused.error().message.contains("c2VjcmV0"));
    // Another delegation may hold it.
    CHECK(outcome(each, trust::ContentRule::kAny));
  }
}

TEST_CASE("a release of keys has so many key sets and no more") {
  for (const size_t sets : {limits::kKeySetFilesMax, limits::kKeySetFilesMax + 1}) {
    const Case many{"", [&](samples::Texts& files, trust::Release& release) {
                      files = {{"manifest.json",
                                replaced(manifest(), R"("keys/login","keys/shop")", R"("keys")")}};
                      for (size_t i = 0; i < sets; ++i)
                        files["keys/i" + std::to_string(i) + "/data.json"] = R"({"keys":[]})";
                      release.data_roots = {"keys"};
                    }};
    CHECK(outcome(many, trust::ContentRule::kKeys).has_value() ==
          (sets == limits::kKeySetFilesMax));
  }
}

TEST_CASE("what cannot be read breaks no rule: the error is that of the store") {
  samples::Texts files = good();
  trust::Release release = samples::release();
  release.data_roots = {"keys/login", "keys/shop"};
  model::ModelContent content = samples::model_of(files);
  content.blobs.erase(content.tree->find("keys/shop/data.json")->hash);
  CHECK(trust::check_keys_only(release, *content.tree, content.loader()).error().code ==
        ErrorCode::kNotFound);
}

TEST_CASE("what no delegation covers holds nothing") {
  trust::Root root = samples::root();
  root.delegations.clear();
  const model::ModelContent content = samples::model_of(good());
  CHECK(trust::check_content(root, samples::release(), *content.tree, content.loader())
            .error()
            .code == ErrorCode::kSignature);
}

}  // namespace
}  // namespace notp
