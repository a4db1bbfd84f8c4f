// The release that a folder started from: the rule itself, and Git's part in it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/publish/publish_base.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

const Hash kOne = sha256("1"), kTwo = sha256("2"), kThree = sha256("3"), kOther = sha256("other");

// The content of each commit; the content of an unnamed one was never published.
GitOrigin origin(const std::vector<GitCommit>& commits, const std::map<std::string, Hash>& content,
                 const Hash& head, const std::set<Hash>& others) {
  return must(find_origin(
      commits,
      [&](const std::string& commit) -> Result<std::optional<Hash>> {
        const auto found = content.find(commit);
        return found == content.end() ? std::nullopt : std::optional(found->second);
      },
      head, others));
}

TEST_CASE("a head that has an older release's content is a rollback") {
  CHECK_FALSE(is_rollback({}));
  CHECK_FALSE(is_rollback({kOne}));
  CHECK_FALSE(is_rollback({kTwo, kOne}));
  CHECK_FALSE(is_rollback({kTwo, kTwo, kOne}));  // published again unchanged
  CHECK(is_rollback({kOne, kTwo, kOne}));
  CHECK(is_rollback({kOne, kOne, kThree, kTwo, kOne}));
  CHECK_FALSE(is_rollback({kThree, kOne, kTwo, kOne}));
}

TEST_CASE("the head's content counts where nothing that was published came after it") {
  const std::vector<GitCommit> line{{"d", {"c"}}, {"c", {"b"}}, {"b", {"a"}}, {"a", {}}};
  CHECK(origin(line, {{"b", kTwo}, {"a", kOne}}, kTwo, {kOne}).commit == "b");
  CHECK(origin(line, {{"d", kTwo}, {"b", kTwo}}, kTwo, {kOne}).commit == "d");
  CHECK(origin(line, {{"c", kThree}, {"b", kTwo}}, kTwo, {kOne}).commit == "b");
  const GitOrigin none = origin(line, {{"a", kOne}}, kTwo, {kOne});
  CHECK(none.commit.empty());
  CHECK(none.later.empty());
  const GitOrigin older = origin(line, {{"c", kTwo}, {"a", kOne}}, kOne, {kTwo});
  CHECK(older.commit.empty());
  CHECK(older.later == "c");
  CHECK(older.later_root == kTwo);
  // The commit that is checked out counts as a later one, too.
  CHECK(origin(line, {{"d", kTwo}, {"a", kOne}}, kOne, {kTwo}).later == "d");
}

TEST_CASE("a branch from before the head's content that was merged later is none in between") {
  // b has the head's content; s, on a branch from a, still has the content published before.
  const std::vector<GitCommit> merged{{"m", {"b", "s"}}, {"b", {"a"}}, {"s", {"a"}}, {"a", {}}};
  CHECK(origin(merged, {{"b", kTwo}, {"s", kOne}, {"a", kOne}}, kTwo, {kOne}).commit == "b");
  // But a release published from a descendant of b is one.
  const std::vector<GitCommit> later{
      {"m", {"s", "t"}}, {"t", {"b"}}, {"s", {"a"}}, {"b", {"a"}}, {"a", {}}};
  CHECK(origin(later, {{"t", kThree}, {"b", kTwo}}, kTwo, {kThree}).later == "t");
}

struct Repository {
  TemporaryFolder folder;
  Environment environment{{"PATH", std::getenv("PATH")}, {"HOME", folder.path().string()},
                          {"GIT_CONFIG_NOSYSTEM", "1"},  {"GIT_AUTHOR_NAME", "A"},
                          {"GIT_AUTHOR_EMAIL", "a@b"},   {"GIT_COMMITTER_NAME", "A"},
                          {"GIT_COMMITTER_EMAIL", "a@b"}};

  Repository() { git({"init", "-q", "-b", "main"}); }
  std::string git(std::vector<std::string> words) {
    const GitAnswer answer =
        must(ask_git(folder.path(), std::move(words), environment, kNever, 1 << 20));
    REQUIRE_MESSAGE(answer.status == 0, answer.error);
    return answer.output.substr(0, answer.output.find('\n'));
  }
  std::string commit(const std::string& file, const std::string& text) {
    must(make_folders((folder.path() / file).parent_path()));
    must(write_file(folder.path() / file, text));
    git({"add", "-A"});
    git({"commit", "-q", "-m", file});
    return git({"rev-parse", "HEAD"});
  }
  GitCheckout at(const std::string& name = ".") {
    auto checkout = must(GitCheckout::find(folder.path() / name, environment));
    REQUIRE(checkout);
    return *std::move(checkout);
  }
};

TEST_CASE("a commit is an ancestor or it is not, however it is named") {
  Repository repository;
  const std::string first = repository.commit("model/a.json", "1");
  repository.git({"checkout", "-q", "-b", "side"});
  const std::string side = repository.commit("model/a.json", "2");
  repository.git({"checkout", "-q", "main"});
  const std::string second = repository.commit("b", "3");
  GitCheckout checkout = repository.at();
  CHECK(checkout.head() == second);
  CHECK(must(checkout.contains(second)));
  CHECK(must(checkout.contains(first)));
  CHECK_FALSE(must(checkout.contains(side)));
  CHECK_FALSE(must(checkout.contains(std::string(40, 'a'))));
  CHECK_FALSE(must(checkout.contains("main")));
  CHECK_FALSE(must(checkout.contains("--all")));
  CHECK_FALSE(must(checkout.contains("")));
}

TEST_CASE("a commit's content is what a folder's would be") {
  Repository repository;
  repository.commit("deep/model/x/data.json", "1");
  must(make_folders(repository.folder.path() / "deep/model/.notp"));
  const std::string good = repository.commit("deep/model/.notp/config.yaml", "ledger: 1/x\n");
  const fs::path model = repository.folder.path() / "deep/model";
  const Hash root = must(cli::read_model_folder(model)).content.tree->content_root();
  GitCheckout checkout = repository.at("deep/model");
  CHECK(must(checkout.has_folder()));
  CHECK(must(checkout.content_root(good)) == root);
  CHECK(must(checkout.tracks(".notp/config.yaml")));
  CHECK_FALSE(must(checkout.tracks(".notp/state.json")));
  // Modes are ignored, and links are resolved: test_model_scan.cpp has the rest.
  fs::permissions(model / "x/data.json", fs::perms::owner_exec, fs::perm_options::add);
  CHECK(must(checkout.content_root(repository.commit("other", "1"))) == root);
  fs::create_symlink("data.json", model / "x/link.json");
  CHECK(must(checkout.content_root(repository.commit("other", "2"))) == root);
  // A folder that cannot be a model has no content root.
  fs::create_symlink("/etc/hosts", model / "x/link.rego");
  CHECK_FALSE(must(checkout.content_root(repository.commit("other", "2b"))));
  fs::remove(model / "x/link.json");
  fs::remove(model / "x/link.rego");
  const std::string moved = repository.commit("other", "3");
  CHECK(must(checkout.content_root(moved)) == root);
  repository.git({"mv", "deep", "shallow"});
  const std::string away = repository.commit("other", "4");
  CHECK_FALSE(must(checkout.content_root(away)));
  CHECK_FALSE(checkout.content_root(std::string(40, 'a')));
}

TEST_CASE("a history is read as far as it was said") {
  Repository repository;
  std::string stream;
  for (size_t i = 0; i < kGitCommitsMax + 2; ++i)
    stream += fmt::format("commit refs/heads/main\ncommitter A <a@b> {} +0000\ndata 1\nx\n", i + 1);
  const fs::path file = repository.folder.path() / "stream";
  must(write_file(file, stream));
  const CommandResult imported =
      run_command({"git", "-C", repository.folder.path(), "fast-import", "--quiet"}, {}, file);
  REQUIRE_MESSAGE(imported.status == 0, imported.output);
  GitCheckout checkout = repository.at();
  const std::vector<GitCommit> commits = must(checkout.commits(kGitCommitsMax));
  REQUIRE(commits.size() == kGitCommitsMax);
  CHECK(commits.front().id == checkout.head());
  CHECK(commits[0].parents == std::vector<std::string>{commits[1].id});
}

TEST_CASE("a git that does not end is ended") {
  const TemporaryFolder folder;
  must(write_file(folder.path() / "git", "#!/bin/sh\nexec sleep 600\n"));
  fs::permissions(folder.path() / "git", fs::perms::owner_all);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (folder.path().string() + ":" + path).c_str(), 1);
  const auto answer =
      ask_git(folder.path(), {"status"}, {{"PATH", path}}, read_clock().boot_ms + 50, 100);
  ::setenv("PATH", path.c_str(), 1);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ErrorCode::kTimeout);
}

}  // namespace
}  // namespace notp::cli
