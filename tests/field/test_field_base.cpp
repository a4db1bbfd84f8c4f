// Publishers without a note of their base: pipelines with fresh clones, folders that were copied,
// recreated or checked out at another commit. No publisher's change is lost silently.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include "tests/support/process/git.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

std::string commit_all(const fs::path& folder, const std::string& message) {
  git(folder, {"add", "-A"});
  git(folder, {"commit", "-q", "-m", message});
  return git(folder, {"rev-parse", "HEAD"});
}

std::string head_users(Stack& stack) {
  const CliResult shown = stack.notp("alice", {"show", kShop, "--file", "shop/data.json"});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  return text_at(shown.document, "content");
}

// A registry, and an upstream repository with the shop's model in "policy", with one commit.
struct Shop {
  Stack stack;
  fs::path upstream;

  Shop() {
    stack.start_registry();
    const fs::path seed = stack.file("seed");
    must(make_folders(seed));
    git(seed, {"init", "-q", "-b", "main"});
    fs::copy(write_shop_model(stack), seed / "policy", fs::copy_options::recursive);
    must(write_file(seed / "README", "beside the model\n"));
    commit_all(seed, "the shop's policy");
    upstream = stack.file("upstream");
    git(stack.folder(), {"clone", "-q", "--bare", "seed", "upstream"});
  }
  fs::path clone(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"clone", "-q"});
    more.insert(more.end(), {"file://" + upstream.string(), name});
    git(stack.folder(), more);
    return stack.file(name);
  }
  CliResult publish(const fs::path& folder, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"publish", folder.string(), "--ledger", kShop, "-m", "a change"};
    words.insert(words.end(), more.begin(), more.end());
    return stack.notp("alice", words);
  }
  // Publishes, which must succeed, and returns the version.
  int64_t published(const fs::path& folder, std::vector<std::string> more = {}) {
    const CliResult result = publish(folder, std::move(more));
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return number_at(result.document, "version");
  }
  void refused(const fs::path& folder, std::string_view why) {
    const CliResult result = publish(folder);
    CHECK_MESSAGE(result.status == 4, result.output << result.error);
    CHECK(result.error_code() == "conflict");
    CHECK_MESSAGE(result.error.contains(why), result.error);
  }
  std::string run_text(const std::vector<std::string>& words) {
    std::vector<std::string> command{stack.program("notp"), "--config",
                                     stack.file("alice.cli.yaml")};
    command.insert(command.end(), words.begin(), words.end());
    return run_command(command, {{"HOME", stack.file("alice.home")}}).output;
  }
};

TEST_CASE("two copies of one folder publish: the second is refused and nothing is lost") {
  Shop shop;
  const fs::path model = write_shop_model(shop.stack), a = shop.stack.file("a"),
                 b = shop.stack.file("b");
  fs::copy(model, a, fs::copy_options::recursive);
  fs::copy(model, b, fs::copy_options::recursive);
  CHECK(shop.published(model) == 1);
  CHECK(read_text(model / ".notp/.gitignore") == "state.json\n");
  set_users(a, R"("u-7", "u-2")");
  shop.refused(a, "lies in no Git checkout");
  CHECK(shop.published(a, {"--base", "v1"}) == 2);
  set_users(b, R"("u-1", "u-8")");
  shop.refused(b, "--base v2");
  const CliResult stale = shop.publish(b, {"--base", "v1"});
  CHECK(stale.status == 4);
  CHECK(head_users(shop.stack).contains("u-7"));
  // The folder's note serves the next publish.
  set_users(a, R"("u-7", "u-2", "u-9")");
  CHECK(shop.published(a) == 3);
  CHECK(shop.publish(b, {"--base", "soon"}).status == 2);
}

TEST_CASE("a model that was made anew does not replace a ledger that has one") {
  Shop shop;
  CHECK(shop.published(write_shop_model(shop.stack)) == 1);
  const fs::path fresh = shop.stack.file("fresh");
  REQUIRE(shop.stack.notp("alice", {"init", fresh, "--ledger", kShop}).status == 0);
  shop.refused(fresh, "lies in no Git checkout");
  git(fresh, {"init", "-q", "-b", "main"});
  commit_all(fresh, "anew");
  shop.refused(fresh, "has the content of v1");
  CHECK(head_users(shop.stack).contains("u-1"));
}

TEST_CASE("pipelines publish from fresh clones; the one that is behind is refused") {
  Shop shop;
  CHECK(shop.published(shop.clone("first") / "policy") == 1);
  // Two jobs of one commit, each with an uncommitted change.
  const fs::path a = shop.clone("a") / "policy", b = shop.clone("b") / "policy";
  set_users(a, R"("u-7", "u-2")");
  set_users(b, R"("u-1", "u-8")");
  CHECK(shop.published(a) == 2);
  shop.refused(b, "has the content of v2");
  CHECK(head_users(shop.stack).contains("u-7"));
  // The change goes upstream, and commits outside the model do not matter.
  commit_all(a, "adds u-7");
  git(a, {"push", "-q", "origin", "main"});
  const fs::path older = shop.clone("older");
  const fs::path newer = shop.clone("newer");
  must(write_file(newer / "README", "more beside the model\n"));
  commit_all(newer, "words");
  set_users(newer / "policy", R"("u-7", "u-2", "u-9")");
  commit_all(newer, "adds u-9");
  CHECK(shop.published(newer / "policy") == 3);
  // The older pipeline finishes last.
  set_users(older / "policy", R"("u-7", "u-2", "u-10")");
  commit_all(older, "adds u-10");
  shop.refused(older / "policy", "v3");
  git(newer, {"push", "-q", "origin", "main"});
  git(older, {"fetch", "-q"});
  git(older, {"merge", "-q", "-s", "ours", "-m", "both", "origin/main"});
  set_users(older / "policy", R"("u-7", "u-2", "u-9", "u-10")");
  commit_all(older, "both");
  CHECK(shop.published(older / "policy") == 4);
}

TEST_CASE("a release that was rolled back does not come back from Git by itself") {
  Shop shop;
  const fs::path first = shop.clone("first");
  CHECK(shop.published(first / "policy") == 1);
  set_users(first / "policy", R"("u-1", "u-2", "bad")");
  commit_all(first, "lets a bad one in");
  CHECK(shop.published(first / "policy") == 2);
  git(first, {"push", "-q", "origin", "main"});
  REQUIRE(shop.stack.notp("alice", {"rollback", kShop, "--to", "v1"}).status == 0);

  const fs::path next = shop.clone("next") / "policy";
  set_users(next, R"("u-1", "u-2", "bad", "u-3")");
  shop.refused(next, "takes the ledger back");
  commit_all(next, "adds u-3");
  shop.refused(next, "takes the ledger back");
  // A branch from before the bad release is refused, too: nothing shows that it includes the
  // rollback.
  const fs::path before = shop.clone("before");
  git(before, {"checkout", "-q", "HEAD~1"});
  set_users(before / "policy", R"("u-1", "u-2", "u-4")");
  shop.refused(before / "policy", "takes the ledger back");
  CHECK_FALSE(head_users(shop.stack).contains("bad"));
  CHECK(shop.published(before / "policy", {"--base", "3"}) == 4);
}

TEST_CASE("a commit with the head's content does not count when a later one was published") {
  Shop shop;
  const fs::path clone = shop.clone("clone");
  // v1 has the content of the second commit, v2 that of the first one, which was never published.
  set_users(clone / "policy", R"("u-1")");
  commit_all(clone, "takes u-2 out");
  CHECK(shop.published(clone / "policy") == 1);
  CHECK(shop.published(write_shop_model(shop.stack), {"--base", "v1"}) == 2);
  fs::remove(clone / "policy/.notp/state.json");
  set_users(clone / "policy", R"("u-1", "u-5")");
  commit_all(clone, "adds u-5");
  shop.refused(clone / "policy", "has the content of v1");
}

TEST_CASE("a release names the commit that it was made of, and that is its base") {
  Shop shop;
  const auto source_of = [&](const std::string& version) {
    const CliResult shown = shop.stack.notp("alice", {"show", kShop + "@" + version});
    REQUIRE_MESSAGE(shown.status == 0, shown.error);
    return text_at(shown.document, "source.commit");
  };
  const fs::path a = shop.clone("a"), b = shop.clone("b");
  CHECK(shop.published(a / "policy") == 1);
  CHECK(source_of("v1") == git(a, {"rev-parse", "HEAD"}));
  set_users(a / "policy", R"("u-1", "u-2", "u-3")");
  const std::string second = commit_all(a, "adds u-3");
  CHECK(shop.published(a / "policy") == 2);
  CHECK(source_of("v2") == second);
  set_users(b / "policy", R"("u-1", "u-4")");
  commit_all(b, "adds u-4");
  shop.refused(b / "policy", second.substr(0, 12));
  git(a, {"push", "-q", "origin", "main"});
  // A revert by its own commit can be published; the content of v1 is not a rollback then.
  const fs::path c = shop.clone("c");
  git(c, {"revert", "--no-edit", "HEAD"});
  CHECK(shop.published(c / "policy") == 3);
  git(c, {"push", "-q", "origin", "main"});
  const fs::path d = shop.clone("d");
  set_users(d / "policy", R"("u-1", "u-2", "u-5")");
  commit_all(d, "adds u-5");
  CHECK(shop.published(d / "policy") == 4);
  // An uncommitted change belongs to no commit.
  set_users(d / "policy", R"("u-1", "u-2", "u-6")");
  CHECK(shop.published(d / "policy") == 5);
  CHECK(source_of("v5").empty());
  // A rollback has no source, and is not a base in Git.
  REQUIRE(shop.stack.notp("alice", {"rollback", kShop, "--to", "v1"}).status == 0);
  CHECK(source_of("v6").empty());
  const fs::path e = shop.clone("e");
  set_users(e / "policy", R"("u-1", "u-7")");
  commit_all(e, "adds u-7");
  shop.refused(e / "policy", "takes the ledger back");
}

TEST_CASE("a shallow clone says how to get its history") {
  Shop shop;
  const fs::path first = shop.clone("first");
  CHECK(shop.published(first / "policy") == 1);
  const fs::path shallow = shop.clone("shallow", {"--depth", "1"});
  CHECK(shop.publish(shallow / "policy").status == 0);  // nothing to publish, nothing to lose
  fs::remove(shallow / "policy/.notp/state.json");
  set_users(shallow / "policy", R"("u-1", "u-3")");
  shop.refused(shallow / "policy", "git fetch --unshallow");
  shop.refused(shallow / "policy", "fetch-depth: 0");
  git(shallow, {"commit", "-q", "-a", "-m", "more"});
  set_users(shallow / "policy", R"("u-1", "u-4")");
  git(shallow, {"commit", "-q", "-a", "-m", "still more"});
  const fs::path cut = shop.clone("cut");
  git(cut, {"pull", "-q", shallow, "main"});
  CHECK(shop.published(cut / "policy") == 2);
}

TEST_CASE("a note that is in Git, or of another commit, is no base") {
  Shop shop;
  const fs::path first = shop.clone("first"), policy = first / "policy";
  CHECK(shop.published(policy) == 1);
  CHECK(git(first, {"status", "--porcelain", "--untracked-files=all"}) ==
        "?? policy/.notp/.gitignore");
  set_users(policy, R"("u-1", "u-3")");
  git(first, {"add", "-f", "policy"});
  git(first, {"commit", "-q", "-m", "with the note of one machine"});
  git(first, {"push", "-q", "origin", "main"});
  // v2 comes from elsewhere: the note says v1, which a colleague's clone has, too.
  CHECK(shop.published(shop.clone("second") / "policy", {"--base", "v1"}) == 2);
  const fs::path third = shop.clone("third") / "policy";
  set_users(third, R"("u-1", "u-3", "u-4")");
  const std::string words = shop.run_text({"publish", third, "--ledger", kShop, "-m", "a change"});
  CHECK_MESSAGE(words.contains("warning: "), words);
  CHECK_MESSAGE(words.contains("Git tracks it"), words);
  CHECK_MESSAGE(words.contains("Published"), words);  // Git's history has the content of v2
  CHECK(head_users(shop.stack).contains("u-4"));
  // A colleague with the note, but with another version in the state file, is still refused.
  const fs::path fourth = shop.clone("fourth") / "policy";
  set_users(fourth, R"("u-1", "u-3", "u-5")");
  must(write_file(fourth / ".notp/state.json", read_text(third / ".notp/state.json")));
  shop.refused(fourth, "Git tracks it");
}

TEST_CASE("a workspace that goes back to an older commit does not undo what it published") {
  Shop shop;
  const fs::path clone = shop.clone("workspace"), policy = clone / "policy";
  CHECK(shop.published(policy) == 1);
  set_users(policy, R"("u-1", "u-2", "u-3")");
  commit_all(clone, "adds u-3");
  CHECK(shop.published(policy) == 2);
  // The next job of the same workspace is an older one.
  git(clone, {"checkout", "-q", "HEAD~1"});
  set_users(policy, R"("u-1", "u-2", "u-4")");
  shop.refused(policy, "does not come from that");
  CHECK(head_users(shop.stack).contains("u-3"));
  git(clone, {"checkout", "-q", "-f", "main"});
  set_users(policy, R"("u-1", "u-2", "u-3", "u-4")");
  CHECK(shop.published(policy) == 3);
}

TEST_CASE("publishing over the head says what it takes back") {
  Shop shop;
  const fs::path a = shop.clone("a") / "policy", b = shop.clone("b") / "policy";
  CHECK(shop.published(a) == 1);
  set_users(a, R"("u-7", "u-2")");
  CHECK(shop.published(a) == 2);
  set_users(b, R"("u-1", "u-8")");
  const std::string dry =
      shop.run_text({"publish", b, "--ledger", kShop, "--onto-head", "--dry-run"});
  CHECK_MESSAGE(dry.contains("v2 by publisher/alice"), dry);
  CHECK_MESSAGE(dry.contains("shop/data.json"), dry);
  // Without a terminal it continues, and the document reports what it did.
  const CliResult over = shop.publish(b, {"--onto-head"});
  REQUIRE_MESSAGE(over.status == 0, over.error);
  REQUIRE(at(over.document, "undone").is_array());
  CHECK(json::serialize(at(over.document, "undone")).contains("v2 by publisher/alice"));
  // A folder at the head undoes nothing.
  set_users(b, R"("u-1", "u-9")");
  const CliResult next = shop.publish(b, {"--onto-head"});
  REQUIRE_MESSAGE(next.status == 0, next.error);
  CHECK(at(next.document, "undone").is_null());
}

TEST_CASE("where Git cannot be asked, nothing is taken for granted") {
  Shop shop;
  const fs::path clone = shop.clone("clone"), policy = clone / "policy";
  CHECK(shop.published(policy) == 1);
  set_users(policy, R"("u-1", "u-3")");
  const fs::path untracked = clone / "generated";
  fs::copy(policy, untracked, fs::copy_options::recursive);
  fs::remove_all(untracked / ".notp");
  shop.refused(untracked, "does not have the folder");
  // A repository of another user, as in many containers: git refuses to work in it, so it is
  // unknown whether the note came with it.
  if (::geteuid() == 0) {
    constexpr uid_t kSomebody = 12345;
    REQUIRE(::chown(clone.c_str(), kSomebody, kSomebody) == 0);
    REQUIRE(::chown((clone / ".git").c_str(), kSomebody, kSomebody) == 0);
    shop.refused(policy, "dubious ownership");
    REQUIRE(::chown(clone.c_str(), 0, 0) == 0);
    REQUIRE(::chown((clone / ".git").c_str(), 0, 0) == 0);
  }
  must(write_file(clone / ".git/HEAD", "what git does not understand\n"));
  fs::remove(policy / ".notp/state.json");
  const CliResult result = shop.publish(policy);
  CHECK_MESSAGE(result.status == 4, result.error);
}

}  // namespace
}  // namespace notp
