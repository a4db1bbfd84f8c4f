// notp verify: audits a Git repository without a registry.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/wire/signed_samples.hpp"

using namespace notp;
namespace fs = std::filesystem;

namespace {

const std::vector<std::pair<std::string, std::string>> kPlainGit = {
    {"GIT_CONFIG_GLOBAL", "/dev/null"},
    {"GIT_CONFIG_NOSYSTEM", "1"},
    {"GIT_AUTHOR_NAME", "publisher/alice"},
    {"GIT_AUTHOR_EMAIL", "alice@publisher"},
    {"GIT_COMMITTER_NAME", "registry/main"},
    {"GIT_COMMITTER_EMAIL", "main@registry"},
    {"LC_ALL", "C"}};

// A hand-made ledger repository. Key 1 is the root's; 2 and 3 publish under root 1, only 3 under
// root 2.
class Ledger : public Shell {
 public:
  Ledger() {
    fs::create_directories(path("roots"));
    put("root.envelope", samples::signed_by(samples::root(), {1}).encode());
    trust::Root next = samples::root();
    next.version = 2;
    next.delegations = {{"*/*", samples::public_keys({3}), 1}};
    put("roots/2.envelope", samples::signed_by(next, {1}).encode());
    git({"init", "-q", "-b", "main", path("ledger").string()}, false);
  }

  void put(const std::string& name, ByteView bytes) { REQUIRE(write_file(path(name), bytes)); }
  void git(std::vector<std::string> arguments, bool inside = true) {
    if (inside) arguments.insert(arguments.begin(), {"-C", path("ledger").string()});
    arguments.insert(arguments.begin(), "git");
    const CommandResult ran = run_command(arguments, kPlainGit);
    REQUIRE_MESSAGE(ran.status == 0, ran.output);
  }

  // Commits `written` and tags it with a statement about `stated`.
  void release(const samples::Texts& stated, const samples::Texts& written, uint8_t signer,
               const std::vector<std::string>& data_roots = {}) {
    const model::ModelContent content = samples::model_of(stated);
    trust::Release next = samples::release(++version_);
    next.data_roots = data_roots.empty() ? std::vector<std::string>{"a", "b"} : data_roots;
    next.previous_hash = previous_;
    next.content_root = content.tree->content_root();
    next.total_bytes = content.tree->total_bytes();
    next.file_count = content.tree->files().size();
    const trust::Envelope envelope = samples::signed_by(next, {signer});
    previous_ = trust::release_hash(envelope.payload);
    for (const auto& [name, text] : written) {
      fs::create_directories(path("ledger/" + name).parent_path());
      put("ledger/" + name, text);
    }
    git({"add", "-A"});
    git({"commit", "-q", "--allow-empty", "-m", "a release"});
    put("message", "a release\n\n-----BEGIN NOTP ENVELOPE-----\n" + to_base64(envelope.encode()) +
                       "\n-----END NOTP ENVELOPE-----\n");
    git({"tag", "-a", "--cleanup=verbatim", "-F", path("message").string(),
         fmt::format("v{}", version_)});
  }
  void release(const samples::Texts& texts, uint8_t signer) { release(texts, texts, signer); }

  Ran verify(std::vector<std::string> more = {}) {
    std::vector<std::string> line{"-o", "json", "--root", "root.envelope", "verify", "ledger"};
    line.insert(line.end(), more.begin(), more.end());
    return notp(std::move(line));
  }

 private:
  uint64_t version_ = 0;
  Hash previous_;
};

// The failed check of the last release.
std::string failed_check(const Ran& ran) {
  const json::value document = parsed(ran.output);
  CHECK_FALSE(document.at("verified").as_bool());
  const json::array& releases = document.at("releases").as_array();
  REQUIRE_FALSE(releases.empty());
  const json::value& step = releases.back().at("steps").as_array().back();
  CHECK_FALSE(step.at("passed").as_bool());
  return json::value_to<std::string>(step.at("check"));
}

}  // namespace

TEST_CASE("a history verifies across a change of keys, from files alone") {
  Ledger ledger;
  ledger.release({{"a/data.json", "{}"}, {"b.rego", "package b\n"}}, 2);
  ledger.release({{"a/data.json", "{\"x\": 1}"}, {"b.rego", "package b\n"}}, 3);
  const Ran plain = ledger.verify();
  REQUIRE_MESSAGE(plain.status == 0, (plain.output + plain.error));

  const Ran ran = ledger.verify({"--roots", "roots"});
  REQUIRE_MESSAGE(ran.status == 0, (ran.output + ran.error));
  const json::value document = parsed(ran.output);
  CHECK(document.at("verified").as_bool());
  CHECK(json::value_to<std::string>(document.at("ledger")) == samples::kLedger.text());
  CHECK(document.at("root_version").to_number<int>() == 2);
  CHECK(document.at("releases").at(0).at("root_version").to_number<int>() == 1);
  CHECK(document.at("releases").at(1).at("root_version").to_number<int>() == 1);
  for (const json::value& release : document.at("releases").as_array())
    CHECK(release.at("steps").as_array().size() >= 6);
  const Ran text = ledger.notp({"--root", "root.envelope", "verify", "ledger", "--last", "1"});
  CHECK(text.status == 0);
  CHECK(text.output.contains("2 releases of 273165098782/payments verified, up to root 1."));
  CHECK(text.output.contains("content.root"));
}

TEST_CASE("a release must hold what a root has let it hold, the newest one by the newest root") {
  const samples::Texts policy = {{"b.rego", "package b\n"}};
  const samples::Texts keys = {{"manifest.json", R"({"metadata":{"name":"keys"},
          "runtimes":{"rego":{"language":{"name":"rego","version":"1.0"}}},
          "partitions":{"/":{"runtime":"rego"}},"roots":["keys/login"]})"},
                               {"keys/login/data.json", R"({"keys":[]})"}};
  trust::Root strict = samples::root();
  strict.delegations.front().content = trust::ContentRule::kKeys;
  {
    Ledger ledger;
    ledger.put("root.envelope", samples::signed_by(strict, {1}).encode());
    ledger.release(keys, keys, 2, {"keys/login"});
    const Ran good = ledger.verify();
    CHECK_MESSAGE(good.status == 0, (good.output + good.error));
    ledger.git({"rm", "-q", "-r", "keys", "manifest.json"});
    ledger.release(policy, 2);
    const Ran ran = ledger.verify();
    CHECK(ran.status == 7);
    CHECK(failed_check(ran) == "release.content");
  }
  Ledger ledger;
  strict.version = 2;
  ledger.put("roots/2.envelope", samples::signed_by(strict, {1}).encode());
  ledger.release(policy, 2);
  const Ran before = ledger.verify({"--roots", "roots"});
  CHECK(before.status == 7);
  CHECK(failed_check(before) == "release.newest_root");
  ledger.git({"rm", "-q", "b.rego"});
  ledger.release(keys, keys, 2, {"keys/login"});
  const Ran after = ledger.verify({"--roots", "roots"});
  CHECK_MESSAGE(after.status == 0, (after.output + after.error));
}

TEST_CASE("the newest release must be by keys that still count") {
  Ledger ledger;
  ledger.release({{"a/data.json", "{}"}}, 2);
  CHECK(ledger.verify().status == 0);
  const Ran ran = ledger.verify({"--roots", "roots"});
  CHECK(ran.status == 7);
  CHECK(failed_check(ran) == "release.newest_root");
}

TEST_CASE(
    "files that are not the signed ones, a foreign signer, another ledger: which check says so") {
  SUBCASE("a file was changed") {
    Ledger ledger;
    ledger.release({{"a/data.json", "{\"limit\": 1}"}}, {{"a/data.json", "{\"limit\": 9}"}}, 2);
    const Ran ran = ledger.verify();
    CHECK(ran.status == 7);
    CHECK(failed_check(ran) == "content.root");
    CHECK(parsed(ran.output).at("error").at("code") == "content_root");
  }
  SUBCASE("a file was added") {
    Ledger ledger;
    ledger.release({{"a/data.json", "{}"}}, {{"a/data.json", "{}"}, {"b/data.json", "{}"}}, 2);
    CHECK(failed_check(ledger.verify()) == "content.files");
  }
  SUBCASE("nobody whom the root knows has signed") {
    Ledger ledger;
    ledger.release({{"a/data.json", "{}"}}, 2);
    ledger.release({{"a/data.json", "[]"}}, 9);
    const Ran ran = ledger.verify();
    CHECK(ran.status == 7);
    CHECK(parsed(ran.output).at("error").at("code") == "signature");
    CHECK(parsed(ran.output).at("releases").as_array().size() == 2);
  }
  SUBCASE("it is another ledger than the one asked for") {
    Ledger ledger;
    ledger.release({{"a/data.json", "{}"}}, 2);
    const Ran ran = ledger.verify({"--ledger", "273165098782/other"});
    CHECK(ran.status == 7);
    CHECK(parsed(ran.output).at("error").at("code") == "wrong_target");
  }
  SUBCASE("the newest releases were cut off") {
    Ledger ledger;
    ledger.release({{"a/data.json", "{}"}}, 2);
    ledger.release({{"a/data.json", "[]"}}, 2);
    ledger.git({"tag", "-d", "v2"});
    CHECK(failed_check(ledger.verify()) == "git.main");
  }
  SUBCASE("the tags of two releases were exchanged") {
    Ledger ledger;
    ledger.release({{"a/data.json", "{}"}}, 2);
    ledger.release({{"a/data.json", "[]"}}, 2);
    ledger.git({"update-ref", "refs/tags/v1", "refs/tags/v2"});
    CHECK(ledger.verify().status == 7);
  }
}

TEST_CASE("what is no repository, or of no ledger, says so") {
  Ledger ledger;
  CHECK(ledger.verify().status == 8);  // no tag v1
  fs::create_directories(ledger.path("plain"));
  const Ran plain = ledger.notp({"--root", "root.envelope", "verify", "plain"});
  CHECK(plain.status == 8);
  CHECK(plain.error.contains("git reads no repository at plain"));
  CHECK(ledger.notp({"--root", "root.envelope", "verify", "absent"}).status == 8);
  CHECK(ledger.notp({"verify", "ledger"}).status == 2);
}
