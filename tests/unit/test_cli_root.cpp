// The ceremony of a root: keys on separate machines, a statement passed on as a file.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "common/storage/files.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/wire/signed_samples.hpp"
#include "tools/notp/root/root_chain.hpp"
#include "tools/notp/root/root_file.hpp"

using namespace notp;
using namespace notp::cli;
namespace fs = std::filesystem;

namespace {

// A shell with keys and version 1 of a root: two of three root keys, one publisher.
class SigningShell : public Shell {
 public:
  SigningShell() {
    for (const char* name : {"a", "b", "c", "d", "alice", "bob", "fresh"})
      REQUIRE(notp({"keygen", "--out", name}).status == 0);
    REQUIRE(notp({"--trust-domain", "core.internal", "root", "init", "--root-key", "a.key",
                  "--root-key", "b.key", "--root-key", "c.pub", "--publisher", "*/*=alice.pub",
                  "--freshness-key", "fresh.pub"})
                .status == 0);
  }
  json::value show(const std::string& file, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"-o", "json", "root", "show", file});
    const Ran ran = notp(std::move(more));
    CHECK((ran.status == 0 || ran.status == 9));
    return parsed(ran.output);
  }
  Ran sign(const std::string& file, const std::string& key) {
    return notp({"root", "sign", file, "--key", key, "--previous", "root.envelope", "--yes"});
  }
  std::string keyid(const std::string& name) {
    return PublicKey::from_pem(read_text(path(name + ".pub")))->keyid();
  }
};

uint64_t number(const json::value& value, std::string_view name) {
  return value.at(name).to_number<uint64_t>();
}

std::string text(const json::value& value) { return json::value_to<std::string>(value); }

trust::Root root_at(uint64_t version) {
  trust::Root root = samples::root();
  root.version = version;
  return root;
}

}  // namespace

TEST_CASE("a root whose keys are elsewhere starts as a draft and is signed by their holders") {
  SigningShell shell;
  const Ran made =
      shell.notp({"--trust-domain", "core.internal", "root", "init", "--root-key", "a.pub",
                  "--root-key", "b.pub", "--publisher", "*/*=alice.pub", "--out", "new.envelope"});
  REQUIRE(made.status == 0);
  CHECK(made.error.contains("warning: no freshness key"));
  CHECK(made.output.contains("notp root sign new.envelope"));
  CHECK(shell.notp({"root", "show", "new.envelope"}).status == 9);
  for (const char* key : {"a.key", "b.key"})
    REQUIRE(shell.notp({"root", "sign", "new.envelope", "--key", key, "--yes"}).status == 0);
  CHECK(shell.notp({"root", "show", "new.envelope"}).status == 0);
}

TEST_CASE("the next root needs the threshold of the old keys and of its own") {
  SigningShell shell;
  const Ran added = shell.notp({"root", "add-key", "root.envelope", "--role", "root", "--key",
                                "d.pub", "--threshold", "3", "--out", "root-2.envelope"});
  REQUIRE_MESSAGE(added.status == 0, added.error);
  CHECK(added.output.contains("+ root key " + shell.keyid("d")));
  CHECK(added.output.contains("~ root threshold: 2 -> 3"));

  const std::vector<std::string> previous{"--previous", "root.envelope"};
  const Ran first = shell.sign("root-2.envelope", "a.key");
  REQUIRE_MESSAGE(first.status == 0, first.error);
  CHECK(first.output.contains("Root 2 of core.internal"));
  CHECK(first.output.contains("+ root key " + shell.keyid("d")));
  CHECK(first.output.contains("still needs 1 signature of the root before and 2 signatures"));
  REQUIRE(shell.sign("root-2.envelope", "d.key").status == 0);
  json::value shown = shell.show("root-2.envelope", previous);
  CHECK_FALSE(shown.at("complete").as_bool());
  CHECK(number(shown.at("signatures").at("previous"), "needed") == 1);
  CHECK(number(shown.at("signatures").at("own"), "needed") == 1);
  REQUIRE(shell.sign("root-2.envelope", "c.key").status == 0);
  shown = shell.show("root-2.envelope", previous);
  CHECK(shown.at("complete").as_bool());

  const Bytes one = read_text(shell.path("root.envelope"));
  const Bytes two = read_text(shell.path("root-2.envelope"));
  trust::Trusted trusted;
  trusted.root =
      std::make_shared<const trust::Root>(trust::verify_pinned_root(one, "core.internal").value());
  trust::Update update;
  update.root_chain = {two};
  CHECK_FALSE(trust::verify_update(update, trusted, read_clock().wall_ms).error);
}

TEST_CASE("a signer is shown everything and signs nothing by accident") {
  SigningShell shell;
  REQUIRE(shell.notp({"root", "set-epoch", "root.envelope"}).status == 0);
  const Bytes draft = read_text(shell.path("root-2.envelope"));
  const Ran nobody = shell.notp(
      {"root", "sign", "root-2.envelope", "--key", "a.key", "--previous", "root.envelope"});
  CHECK(nobody.status == 2);
  CHECK(nobody.output.contains("~ epoch: 1 -> 2"));
  CHECK(nobody.output.contains("keys of root 1"));
  CHECK(nobody.error.contains("--yes"));
  const Ran stranger = shell.sign("root-2.envelope", "alice.key");
  CHECK(stranger.status == 2);
  CHECK(stranger.error.contains("neither of this root nor of the one before"));
  const Ran blind = shell.notp({"root", "sign", "root-2.envelope", "--key", "a.key", "--yes"});
  CHECK(blind.status == 2);
  CHECK(blind.error.contains("--previous"));
  CHECK(read_text(shell.path("root-2.envelope")) == draft);
  REQUIRE(
      shell.notp({"root", "set-epoch", "root.envelope", "--epoch", "7", "--out", "other"}).status ==
      0);
  CHECK(shell.notp({"root", "sign", "other", "--key", "a.key", "--previous", "other", "--yes"})
            .status == 7);
}

TEST_CASE("a draft is changed in place and loses the signatures that it had") {
  SigningShell shell;
  REQUIRE(shell.notp({"root", "set-expiry", "root.envelope", "--expires-in", "30"}).status == 0);
  REQUIRE(shell.sign("root-2.envelope", "a.key").status == 0);
  const Ran edited = shell.notp({"root", "add-key", "root-2.envelope", "--role", "publisher",
                                 "--pattern", "100000000000/*", "--key", "bob.pub"});
  REQUIRE_MESSAGE(edited.status == 0, edited.error);
  CHECK(edited.error.contains("1 signature made before the change was dropped"));
  const json::value shown = shell.show("root-2.envelope", {"--previous", "root.envelope"});
  CHECK(number(shown, "version") == 2);
  CHECK(number(shown, "signers") == 0);
  // After "*/*" it could never apply.
  CHECK(shown.at("delegations").at(0).at("pattern") == "100000000000/*");
  CHECK(shell.notp({"root", "set-epoch", "root.envelope"}).status == 2);
}

TEST_CASE("a stolen publisher key goes from every pattern, by its id alone") {
  SigningShell shell;
  REQUIRE(
      shell
          .notp({"root", "add-key", "root.envelope", "--role", "publisher", "--pattern",
                 "100000000000/*", "--key", "alice.pub", "--key", "bob.pub", "--threshold", "2"})
          .status == 0);
  const std::string alice = shell.keyid("alice");
  const Ran below =
      shell.notp({"root", "remove-key", "root-2.envelope", "--role", "publisher", "--key", alice});
  CHECK(below.status == 2);
  CHECK(below.error.contains("--threshold"));
  REQUIRE(shell
              .notp({"root", "remove-key", "root-2.envelope", "--role", "publisher", "--key", alice,
                     "--threshold", "1"})
              .status == 0);
  const json::value shown = shell.show("root-2.envelope", {"--previous", "root.envelope"});
  REQUIRE(shown.at("delegations").as_array().size() == 1);
  CHECK(text(shown.at("delegations").at(0).at("keyids").at(0)) == shell.keyid("bob"));
  CHECK(shell.notp({"root", "remove-key", "root-2.envelope", "--role", "publisher", "--key", alice})
            .status == 2);
}

TEST_CASE("publishers of a pattern are kept to some data roots, and to any again") {
  SigningShell shell;
  const Ran nobody = shell.notp({"root", "set-data-roots", "root.envelope", "--pattern",
                                 "100000000000/other", "--data-root", "a"});
  CHECK(nobody.status == 2);
  CHECK(nobody.error.contains("100000000000/other"));
  REQUIRE(shell
              .notp({"root", "set-data-roots", "root.envelope", "--pattern", "*/*", "--data-root",
                     "payments/*", "--data-root", "orders", "--data-root", "orders"})
              .status == 0);
  const json::value shown = shell.show("root-2.envelope", {"--previous", "root.envelope"});
  CHECK(shown.at("delegations").at(0).at("data_roots") == json::array{"orders", "payments/*"});
  // The expiry moves with the second of the edit, and is a change of its own then.
  CHECK(std::ranges::any_of(shown.at("changes").as_array(), [](const json::value& change) {
    return change.at("subject") == "data roots of */*";
  }));
  CHECK(shell
            .notp({"root", "set-data-roots", "root-2.envelope", "--pattern", "*/*", "--data-root",
                   "a*/b"})
            .status != 0);
  REQUIRE(shell.notp({"root", "set-data-roots", "root-2.envelope", "--pattern", "*/*"}).status ==
          0);
  CHECK(shell.show("root-2.envelope").at("delegations").at(0).at("data_roots") == json::array{});
}

TEST_CASE("publishers of a pattern are kept to key sets, and to anything again") {
  SigningShell shell;
  const Ran added = shell.notp({"root", "delegate", "root.envelope", "100000000000/login-keys",
                                "--key", "d.pub", "--content", "keys", "--data-root", "keys/*"});
  REQUIRE_MESSAGE(added.status == 0, added.error);
  CHECK_FALSE(added.error.contains("warning"));
  const json::value shown = shell.show("root-2.envelope", {"--previous", "root.envelope"});
  CHECK(shown.at("delegations").at(0).at("pattern") == "100000000000/login-keys");
  CHECK(shown.at("delegations").at(0).at("content") == "keys");
  CHECK(shown.at("delegations").at(0).at("data_roots") == json::array{"keys/*"});
  CHECK(shown.at("delegations").at(1).at("content") == "any");
  CHECK(std::ranges::any_of(shown.at("changes").as_array(), [](const json::value& change) {
    return change.at("subject") == "content of 100000000000/login-keys" &&
           change.at("after") == "key sets alone";
  }));
  CHECK(shell.notp({"root", "show", "root-2.envelope"}).output.contains("key sets alone"));

  // Data roots that such releases can never own are a mistake.
  const Ran useless =
      shell.notp({"root", "set-data-roots", "root-2.envelope", "--pattern",
                  "100000000000/login-keys", "--data-root", "keys/login", "--data-root", "authz"});
  CHECK(useless.status == 2);
  CHECK(useless.error.contains("authz"));
  // A key that is online should publish nothing else.
  const Ran both = shell.notp({"root", "add-key", "root-2.envelope", "--role", "publisher",
                               "--pattern", "*/*", "--key", "d.pub"});
  REQUIRE(both.status == 0);
  CHECK(both.error.contains(shell.keyid("d")));
  const Ran wide = shell.notp(
      {"root", "set-data-roots", "root-2.envelope", "--pattern", "100000000000/login-keys"});
  REQUIRE(wide.status == 0);
  CHECK(wide.error.contains("data.keys"));

  REQUIRE(shell
              .notp({"root", "set-content", "root-2.envelope", "--pattern",
                     "100000000000/login-keys", "--content", "any"})
              .status == 0);
  CHECK(shell.show("root-2.envelope").at("delegations").at(0).at("content") == "any");
  CHECK(shell
            .notp({"root", "set-content", "root-2.envelope", "--pattern", "100000000000/none",
                   "--content", "keys"})
            .status == 2);
  CHECK(shell
            .notp({"root", "add-key", "root-2.envelope", "--role", "root", "--key", "d.pub",
                   "--content", "keys"})
            .status == 2);
}

TEST_CASE("the freshness key is one of its own kind") {
  SigningShell shell;
  CHECK(text(shell.show("root.envelope").at("freshness_keyids").at(0)) == shell.keyid("fresh"));
  const Ran publisher =
      shell.notp({"root", "add-key", "root.envelope", "--role", "freshness", "--key", "alice.pub"});
  CHECK(publisher.status == 2);
  REQUIRE(shell.notp({"root", "add-key", "root.envelope", "--role", "freshness", "--key", "d.pub"})
              .status == 0);
  REQUIRE(shell
              .notp({"root", "remove-key", "root-2.envelope", "--role", "freshness", "--key",
                     shell.keyid("fresh")})
              .status == 0);
  CHECK(shell
            .notp({"root", "remove-key", "root-2.envelope", "--role", "freshness", "--key",
                   shell.keyid("fresh")})
            .status == 2);
  const json::value shown = shell.show("root-2.envelope", {"--previous", "root.envelope"});
  CHECK(shown.at("freshness_keyids").as_array().size() == 1);
  // A root has its predecessor's lifetime, from its own second of issue.
  std::set<std::string> before, after;
  for (const json::value& change : shown.at("changes").as_array()) {
    if (change.at("subject") == "expires") continue;
    CHECK(change.at("subject") == "freshness key");
    before.insert(text(change.at("before")));
    after.insert(text(change.at("after")));
  }
  CHECK(before == std::set<std::string>{"", shell.keyid("fresh")});
  CHECK(after == std::set<std::string>{"", shell.keyid("d")});
}

TEST_CASE("the key of the token lanes is set, replaced and taken away by the next roots") {
  SigningShell shell;
  const auto edit = [&](const std::string& file, std::vector<std::string> more) {
    more.insert(more.begin(), {"root", "set-lane-key", file});
    return shell.notp(std::move(more));
  };
  CHECK_FALSE(shell.show("root.envelope").as_object().contains("lane_keyid"));
  CHECK(shell.notp({"root", "show", "root.envelope"}).output.contains("lane key"));
  CHECK(edit("root.envelope", {}).status == 2);
  CHECK(edit("root.envelope", {"--none"}).error.contains("has no lane key"));
  // Each is another key's already.
  for (const char* taken : {"fresh.pub", "alice.pub", "a.pub"})
    CHECK(edit("root.envelope", {"--key", taken}).status == 2);

  const Ran set = edit("root.envelope", {"--key", "d.pub"});
  REQUIRE_MESSAGE(set.status == 0, set.error);
  CHECK(set.output.contains("+ lane key " + shell.keyid("d")));
  const json::value shown = shell.show("root-2.envelope", {"--previous", "root.envelope"});
  CHECK(text(shown.at("lane_keyid")) == shell.keyid("d"));
  // The holders of root keys see what they sign.
  const Ran signs = shell.sign("root-2.envelope", "a.key");
  CHECK(signs.output.contains("+ lane key " + shell.keyid("d")));
  REQUIRE(shell.sign("root-2.envelope", "b.key").status == 0);

  CHECK(edit("root-2.envelope", {"--key", "d.pub"}).error.contains("already"));
  const Ran replaced = edit("root-2.envelope", {"--key", "bob.pub"});
  REQUIRE_MESSAGE(replaced.status == 0, replaced.error);
  CHECK(replaced.output.contains(
      fmt::format("~ lane key: {} -> {}", shell.keyid("d"), shell.keyid("bob"))));
  // A draft is changed in place, and has its own root before it.
  REQUIRE(edit("root-3.envelope", {"--none"}).status == 0);
  CHECK_FALSE(shell.show("root-3.envelope").as_object().contains("lane_keyid"));
  const Ran gone = shell.notp({"root", "show", "root-3.envelope", "--previous", "root-2.envelope"});
  CHECK(gone.output.contains("- lane key " + shell.keyid("d")));
}

TEST_CASE("what is kept of the roots seen is verified again and never goes back") {
  const TemporaryFolder folder;
  Settings settings;
  settings.root = folder.path() / "pinned";
  REQUIRE(write_file(settings.root, samples::signed_by(root_at(1), {1}).encode()));
  const Environment environment{{"XDG_STATE_HOME", (folder.path() / "state").string()}};
  auto chain = RootChain::load(settings, environment);
  REQUIRE(chain);
  CHECK(chain->seen_version() == 0);
  const std::vector<Bytes> next{samples::signed_by(root_at(2), {1}).encode(),
                                samples::signed_by(root_at(3), {1}).encode()};
  REQUIRE(chain->extend(next, samples::kIssuedMs));
  CHECK(chain->newest()->version == 3);
  const std::vector<Bytes> forged{samples::signed_by(root_at(4), {9}).encode()};
  CHECK(chain->extend(forged, samples::kIssuedMs).error().code == ErrorCode::kSignature);

  const auto again = RootChain::load(settings, environment);
  REQUIRE(again);
  CHECK(again->seen_version() == 3);
  // Another pinned file has its own chain.
  Settings other = settings;
  other.root = folder.path() / "other";
  trust::Root fresh_start = root_at(1);
  fresh_start.issued_ms += 1;
  REQUIRE(write_file(other.root, samples::signed_by(fresh_start, {1}).encode()));
  CHECK(RootChain::load(other, environment)->newest()->version == 1);

  for (const auto& entry : fs::recursive_directory_iterator(folder.path() / "state"))
    if (entry.path().filename() == "3.envelope")
      REQUIRE(write_file(entry.path(), samples::signed_by(root_at(3), {9}).encode()));
  const auto damaged = RootChain::load(settings, environment);
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().code == ErrorCode::kSignature);
}
