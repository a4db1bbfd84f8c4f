// The upstream repository of a mirror: what it sees, fetches and refuses, by a stock git from a
// stock `git http-backend` over TLS.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/support/process/opened_upstream.hpp"

using namespace notp;
using cli::Upstream;
using cli::UpstreamTip;

namespace {

// Random bytes in hexadecimal, which no compression makes smaller than a half.
std::string noise(size_t bytes) {
  std::ifstream random("/dev/urandom", std::ios::binary);
  std::string text(bytes / 2, '\0');
  random.read(text.data(), static_cast<std::streamsize>(text.size()));
  return to_hex(text);
}

uint64_t bytes_below(const std::filesystem::path& folder) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder))
    if (file.is_regular_file()) bytes += file.file_size();
  return bytes;
}

// A script that leaves a mark when it runs.
void write_trap(const std::filesystem::path& script, const std::filesystem::path& mark) {
  must(write_file(script, fmt::format("#!/bin/sh\ntouch {}\n", mark.string()), 0755));
}

}  // namespace

TEST_CASE("a push is seen, fetched and read; what is deleted or renamed is so here") {
  OpenedUpstream at;
  const std::string first = at.repository.write("manifest.json", "{}")
                                .write("shop/policy.rego", kPolicy)
                                .write("shop/old/policy.rego", kPolicy)
                                .commit("first");
  at.repository.push();
  Upstream upstream = at.open();
  const UpstreamTip tip = fetched(upstream);
  CHECK(tip == UpstreamTip{"refs/heads/main", first, {}});
  CHECK(paths_of(upstream, tip) ==
        std::vector<std::string>{"manifest.json", "shop/old/policy.rego", "shop/policy.rego"});
  CHECK(must(upstream.verify(tip)).empty());

  at.repository.run({"mv", "shop/policy.rego", "shop/renamed.rego"});
  at.repository.remove("shop/old");
  const std::string second = at.repository.commit("second");
  at.repository.push();
  const UpstreamTip next = fetched(upstream);
  CHECK(next.commit == second);
  CHECK(paths_of(upstream, next) == std::vector<std::string>{"manifest.json", "shop/renamed.rego"});
  CHECK(must(upstream.has_ancestor(next, first)));
  CHECK(must(upstream.has_ancestor(next, second)));
  CHECK_FALSE(must(upstream.has_ancestor(tip, second)));
  CHECK_FALSE(must(upstream.same_content(first, next)));
  // Nothing was checked out, and only the one ref is here.
  CHECK(git(at.repository_here(), {"for-each-ref", "--format=%(refname)"}) == "refs/mirror/tip");
  CHECK_FALSE(std::filesystem::exists(at.repository_here() / "index"));

  // Another process that opens the folder is refused; the same state is there afterwards.
  CHECK(Upstream::open(at.folder.path(), at.config, plain_environment()).error().code ==
        ErrorCode::kConflict);
  {
    Upstream moved = std::move(upstream);
  }
  Upstream again = at.open();
  CHECK(must(again.has_ancestor(next, first)));
  at.repository.remove("shop");
  CHECK(again.fetch({"refs/heads/main", at.repository.commit("not pushed"), {}}).error().code ==
        ErrorCode::kConflict);
}

TEST_CASE("one repository feeds several models: a commit beside the path changes nothing there") {
  OpenedUpstream at;
  at.config.path = "policies/payments";
  at.repository.write("README.md", "x").write("policies/shop/a.rego", kPolicy);
  const std::string empty = at.repository.commit("no payments");
  const std::string first = at.repository.pushed("policies/payments/a.rego", kPolicy);
  Upstream upstream = at.open();
  CHECK(paths_of(upstream, fetched(upstream)) == std::vector<std::string>{"a.rego"});
  const std::string beside = at.repository.pushed("policies/shop/b.rego", kPolicy);
  UpstreamTip tip = fetched(upstream);
  CHECK(tip.commit == beside);
  CHECK(must(upstream.same_content(first, tip)));
  CHECK_FALSE(must(upstream.same_content(empty, tip)));
  CHECK_FALSE(must(upstream.same_content(std::string(40, 'a'), tip)));
  at.repository.pushed("policies/payments/b.rego", kPolicy);
  CHECK_FALSE(must(upstream.same_content(first, fetched(upstream))));
  // Gone: neither content nor a guess.
  at.repository.remove("policies/payments").commit("gone");
  at.repository.push();
  tip = fetched(upstream);
  CHECK(upstream.content(tip).error().code == ErrorCode::kNotFound);
  CHECK(must(upstream.same_content(empty, tip)));
  // A branch of the same name in a folder of others is not the branch.
  at.repository.run({"push", "-q", "origin", "HEAD:refs/heads/refs/heads/main2"});
  at.config.branch = "main2";
  {
    Upstream closed = std::move(upstream);
  }
  const auto none = at.open().look();
  REQUIRE_FALSE(none);
  CHECK(none.error().code == ErrorCode::kNotFound);
  CHECK(none.error().message.contains("main2"));
}

TEST_CASE("rewritten history: the old commit is no ancestor, also after it was forgotten") {
  OpenedUpstream at;
  const std::string first = at.repository.pushed("a.rego", kPolicy);
  const std::string second = at.repository.pushed("b.rego", kPolicy);
  Upstream upstream = at.open();
  const UpstreamTip old = fetched(upstream);
  REQUIRE(old.commit == second);
  // Set back.
  at.repository.run({"reset", "-q", "--hard", first});
  at.repository.push();
  UpstreamTip tip = fetched(upstream);
  CHECK(tip.commit == first);
  CHECK_FALSE(must(upstream.has_ancestor(tip, second)));
  // Forced, with other content.
  const std::string other = at.repository.pushed("c.rego", kPolicy);
  tip = fetched(upstream);
  CHECK(tip.commit == other);
  CHECK_FALSE(must(upstream.has_ancestor(tip, second)));
  CHECK(must(upstream.has_ancestor(tip, first)));
  // A history without any common commit, read into an empty folder.
  at.repository.run({"checkout", "-q", "--orphan", "fresh"});
  at.repository.commit("fresh");
  at.repository.run({"push", "-q", "--force", "origin", "HEAD:main"});
  {
    Upstream closed = std::move(upstream);
  }
  std::filesystem::remove_all(at.folder.path() / "upstream");
  Upstream fresh = at.open();
  tip = fetched(fresh);
  CHECK_FALSE(must(fresh.has_ancestor(tip, second)));
  CHECK_FALSE(must(fresh.has_ancestor(tip, "HEAD")));
  CHECK(fresh.has_ancestor(old, first).error().code == ErrorCode::kNotFound);
}

TEST_CASE("the highest tag of a pattern is followed; a moved tag is another tip") {
  OpenedUpstream at;
  at.config.branch.clear();
  at.config.tag_pattern = "v*";
  Upstream upstream = at.open();
  at.repository.pushed("a.rego", kPolicy);
  CHECK(upstream.look().error().code == ErrorCode::kNotFound);
  const std::string nine = at.repository.tag("v1.9.0");
  at.repository.tag("v1.10.0-rc1");
  at.repository.tag("w2.0.0");
  at.repository.push();
  const UpstreamTip tip = fetched(upstream);
  CHECK(tip == UpstreamTip{"refs/tags/v1.9.0", at.repository.head(), nine});

  const std::string second = at.repository.pushed("b.rego", kPolicy);
  const std::string ten = at.repository.tag("v1.10.0");
  at.repository.push();
  const UpstreamTip next = fetched(upstream);
  CHECK(next == UpstreamTip{"refs/tags/v1.10.0", second, ten});
  CHECK(must(upstream.has_ancestor(next, tip.commit)));

  at.repository.pushed("c.rego", kPolicy);
  const std::string moved = at.repository.tag("v1.10.0");
  // Between look and fetch: what was looked at is not there any more.
  const auto seen = upstream.look();
  REQUIRE(seen);
  at.repository.push();
  const auto late = upstream.look();
  REQUIRE(late);
  CHECK(late->tag_object == moved);
  CHECK(late->commit != next.commit);
  at.repository.pushed("d.rego", kPolicy);
  at.repository.tag("v1.10.0");
  at.repository.push();
  const auto gone = upstream.fetch(*late);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == ErrorCode::kConflict);
  // A lightweight tag has no tag object; a tag of something else than a commit is refused.
  at.repository.run({"tag", "-f", "v2.0.0"});
  at.repository.push();
  CHECK(fetched(upstream).tag_object.empty());
  at.repository.tag("v3.0.0", nullptr, "HEAD:a.rego");
  at.repository.push();
  const auto blob = upstream.fetch(must(upstream.look()));
  REQUIRE_FALSE(blob);
  CHECK_MESSAGE(blob.error().code == ErrorCode::kSignature, blob.error().message);
}

TEST_CASE("a repository with SHA-256 ids, also one that changes its format") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", kPolicy);
  Upstream upstream = at.open();
  CHECK(fetched(upstream).commit.size() == 40);
  std::filesystem::remove_all(at.repository.bare());
  std::filesystem::remove_all(at.repository.work());
  GitUpstream changed = at.site.make("policies", "sha256");
  changed.pushed("b.rego", kPolicy);
  const UpstreamTip tip = fetched(upstream);
  CHECK(tip.commit.size() == 64);
  CHECK(paths_of(upstream, tip) == std::vector<std::string>{"b.rego"});
}

TEST_CASE("a redirect, another protocol and a server of files only are refused") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", kPolicy);
  at.repository.run({"-C", at.repository.bare(), "update-server-info"});
  at.config.repository = at.site.url("policies", "redirect");
  {
    Upstream upstream = at.open();
    const auto tip = upstream.look();
    REQUIRE_FALSE(tip);
    CHECK_MESSAGE(tip.error().message.contains("302"), tip.error().message);
    CHECK_FALSE(at.site.requests().contains("/git/policies"));
  }
  for (const std::string& repository :
       {at.site.plain_url("policies"), "file://" + at.repository.bare().string(),
        at.repository.bare().string(), std::string("ext::sh"), std::string("git://a/b"),
        std::string("-uploadpack=x"), std::string("ssh://-oProxyCommand=x/y"),
        std::string("https://user:secret@127.0.0.1/x.git")}) {
    at.config.repository = repository;
    const auto opened = Upstream::open(at.folder.path(), at.config, plain_environment());
    REQUIRE_FALSE(opened);
    CHECK_MESSAGE(opened.error().code == ErrorCode::kConfig, repository);
    CHECK_FALSE(opened.error().message.contains("secret"));
  }
  at.config.repository = at.site.url("policies", "dumb");
  {
    Upstream upstream = at.open();
    const auto tip = upstream.look();
    REQUIRE_MESSAGE(tip, tip.error().message);
    const auto done = upstream.fetch(*tip);
    REQUIRE_FALSE(done);
    CHECK_MESSAGE(done.error().message.contains("dumb"), done.error().message);
  }
  // A clone without its history, too.
  at.repository.pushed("b.rego", kPolicy);
  run_git(at.site.repositories(), {"clone", "-q", "--bare", "--depth=1",
                                   "file://" + at.repository.bare().string(), "shallow.git"});
  at.config.repository = at.site.url("shallow");
  {
    Upstream upstream = at.open();
    const auto tip = upstream.look();
    REQUIRE_MESSAGE(tip, tip.error().message);
    const auto done = upstream.fetch(*tip);
    REQUIRE_FALSE(done);
    CHECK_MESSAGE(done.error().message.contains("shallow"), done.error().message);
  }
  at.config.allow_insecure = true;
  for (const std::string& repository :
       {at.site.plain_url("policies"), "file://" + at.repository.bare().string()}) {
    at.config.repository = repository;
    Upstream upstream = at.open();
    CHECK(paths_of(upstream, fetched(upstream)).size() == 2);
  }
}

TEST_CASE("TLS: an authority of one's own is the only one, and a client certificate is presented") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", kPolicy);
  at.config.ca.clear();  // the system's
  CHECK(at.open().look().error().code == ErrorCode::kTls);
  const TestPki other;
  at.config.ca = other.authorities();
  const auto untrusted = at.open().look();
  CHECK_MESSAGE(untrusted.error().code == ErrorCode::kTls, untrusted.error().message);
  at.config.ca = at.site.authorities();
  at.config.repository = at.site.url("policies", "mutual");
  CHECK(at.open().look().error().code == ErrorCode::kDenied);
  const auto client = at.site.client();
  at.config.certificate = client.certificate;
  at.config.certificate_key = client.private_key;
  Upstream upstream = at.open();
  CHECK(paths_of(upstream, fetched(upstream)).size() == 1);
}

TEST_CASE("nothing of the outer environment, of hooks and of submodules has an effect") {
  OpenedUpstream at;
  const auto mark = at.folder.path() / "mark", trap = at.folder.path() / "trap";
  write_trap(trap, mark);
  at.repository
      .write(".gitmodules",
             fmt::format("[submodule \"sub\"]\n\tpath = sub\n\turl = {}\n", at.site.url("other")))
      .write("a.rego", kPolicy);
  at.repository.run({"update-index", "--add", "--cacheinfo",
                     "160000,1234567890123456789012345678901234567890,sub"});
  at.repository.run({"add", "-A", "--", "a.rego", ".gitmodules"});
  at.repository.run({"commit", "-q", "-m", "x"});
  at.repository.push();
  Environment hostile = plain_environment();
  const std::string bad_config = at.folder.path() / "bad-config";
  must(write_file(bad_config,
                  fmt::format("[core]\n\tsshCommand = {0}\n\thooksPath = {1}\n"
                              "[credential]\n\thelper = {0}\n[url \"{2}\"]\n"
                              "\tinsteadOf = https://\n",
                              trap.string(), at.folder.path().string(), "https://127.0.0.1:1/")));
  for (const char* name : {"GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_EXEC_PATH",
                           "GIT_TEMPLATE_DIR", "HOME", "XDG_CONFIG_HOME"})
    hostile[name] = "/nonexistent";
  for (const char* name : {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG"})
    hostile[name] = bad_config;
  for (const char* name : {"GIT_SSH_COMMAND", "GIT_SSH", "GIT_ASKPASS", "SSH_ASKPASS",
                           "GIT_PROXY_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_EDITOR"})
    hostile[name] = trap;
  hostile["GIT_TRACE"] = hostile["GIT_TRACE_CURL"] = mark;
  hostile["GIT_CONFIG_COUNT"] = "1";
  hostile["GIT_CONFIG_KEY_0"] = "url.https://127.0.0.1:1/.insteadOf";
  hostile["GIT_CONFIG_VALUE_0"] = "https://127.0.0.1";
  hostile["GIT_SSL_NO_VERIFY"] = "1";
  Upstream upstream = at.open(hostile);
  std::filesystem::create_directories(at.repository_here() / "hooks");
  for (const char* hook : {"reference-transaction", "post-checkout", "pre-auto-gc", "post-rewrite",
                           "fsmonitor-watchman", "post-index-change"})
    write_trap(at.repository_here() / "hooks" / hook, mark);
  const UpstreamTip tip = fetched(upstream);
  CHECK(paths_of(upstream, tip) == std::vector<std::string>{"a.rego"});
  CHECK(must(upstream.has_ancestor(tip, tip.commit)));
  CHECK_FALSE(std::filesystem::exists(mark));
  CHECK_FALSE(at.site.requests().contains("/other.git"));
  // Control: the trap works, and git would run it as a hook.
  git(at.repository_here(), {"update-ref", "refs/x", tip.commit});
  CHECK(std::filesystem::exists(mark));
}

TEST_CASE("a server that hangs is cut at the deadline, and no process is left") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", noise(200'000));
  at.config.deadline_ms = 1'500;
  for (const char* how : {"hang", "stall"}) {
    CAPTURE(how);
    at.config.repository = at.site.url("policies", how);
    Upstream upstream = at.open();
    bool has_child = false;  // a child of git was running meanwhile
    std::jthread watcher([&](const std::stop_token& stop) {
      while (!stop.stop_requested())
        for (const ProcessTexts& process : processes_for(at.folder.path()))
          if (process.arguments.contains("git-remote-https")) has_child = true;
    });
    const TimeMs begin_ms = read_clock().boot_ms;
    Result<void> outcome;
    if (how == std::string_view("hang")) {
      if (const auto tip = upstream.look(); !tip) outcome = std::unexpected(tip.error());
    } else {
      outcome = upstream.fetch({"refs/heads/main", at.repository.head(), {}});
    }
    CHECK(read_clock().boot_ms - begin_ms >= at.config.deadline_ms);
    CHECK(processes_for(at.folder.path()).empty());
    watcher.request_stop();
    watcher.join();
    REQUIRE_FALSE(outcome);
    CHECK_MESSAGE(outcome.error().code == ErrorCode::kTimeout, outcome.error().message);
    CHECK_MESSAGE(outcome.error().message.contains(at.config.repository), outcome.error().message);
    CHECK(has_child);
    for (const auto& file : std::filesystem::recursive_directory_iterator(at.repository_here()))
      CHECK_MESSAGE(!file.path().filename().string().starts_with("tmp_"), file.path());
  }
  // The next fetch works on what is left.
  at.config.deadline_ms = 60'000;
  at.config.repository = at.site.url("policies");
  Upstream upstream = at.open();
  CHECK(paths_of(upstream, fetched(upstream)).size() == 1);
}

TEST_CASE("a process that is ended during a fetch leaves no git behind") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", kPolicy);
  at.config.repository = at.site.url("policies", "hang");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGTERM, SIG_DFL);
    ::signal(SIGABRT, SIG_DFL);
    static_cast<void>(at.open().look());
    ::_exit(0);
  }
  const auto is_fetching = [&] {
    for (const ProcessTexts& process : processes_for(at.folder.path()))
      if (process.arguments.contains("git-remote-https")) return true;
    return false;
  };
  REQUIRE(wait_until(is_fetching));
  ::kill(child, SIGTERM);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(wait_until([&] { return processes_for(at.folder.path()).empty(); }, milliseconds(10'000)));
}

TEST_CASE("the disk budget ends a fetch, and what earlier fetches left does not count twice") {
  OpenedUpstream at;
  at.config.disk_bytes_max = 2 << 20;
  Upstream upstream = at.open();
  // Several rewrites, each of 0.7 MiB: only together they exceed the budget.
  for (int i = 0; i < 6; ++i) {
    at.repository.run({"checkout", "-q", "--orphan", fmt::format("try-{}", i)});
    at.repository.write("noise.txt", noise(1'400'000)).write("a.rego", kPolicy);
    const std::string commit = at.repository.commit("noise");
    at.repository.run({"push", "-q", "--force", "origin", "HEAD:main"});
    CHECK(fetched(upstream).commit == commit);
    CHECK(bytes_below(at.repository_here()) <= at.config.disk_bytes_max);
  }
  at.repository.write("more.txt", noise(8 << 20));
  at.repository.commit("too much");
  at.repository.run({"push", "-q", "--force", "origin", "HEAD:main"});
  const auto tip = upstream.look();
  REQUIRE(tip);
  const auto done = upstream.fetch(*tip);
  REQUIRE_FALSE(done);
  CHECK(done.error().code == ErrorCode::kLimit);
  CHECK_MESSAGE(done.error().message.contains("disk_bytes_max"), done.error().message);
  CHECK(bytes_below(at.repository_here()) < 100'000);
  CHECK(upstream.content(*tip).error().code == ErrorCode::kNotFound);
}

TEST_CASE("a damaged copy is fetched anew, and is never taken for rewritten history") {
  OpenedUpstream at;
  at.config.path = "model";
  const std::string first = at.repository.pushed("model/a.rego", kPolicy);
  const auto packs = [&] {
    std::vector<std::filesystem::path> found;
    for (const auto& file :
         std::filesystem::directory_iterator(at.repository_here() / "objects/pack"))
      found.push_back(file.path());
    return found;
  };
  UpstreamTip tip;
  const auto lose = [&](bool is_first_only) {
    std::filesystem::remove_all(at.folder.path());
    REQUIRE(!std::filesystem::exists(at.repository_here()));
    Upstream upstream = at.open();
    at.repository.run({"reset", "-q", "--hard", first});
    at.repository.push();
    fetched(upstream);
    const auto old = packs();
    at.repository.pushed("beside.txt", "x");
    tip = fetched(upstream);
    for (const auto& file : is_first_only ? old : packs()) std::filesystem::remove(file);
  };
  // All is gone but the name of the tip.
  lose(false);
  {
    Upstream upstream = at.open();
    CHECK(paths_of(upstream, fetched(upstream)) == std::vector<std::string>{"a.rego"});
  }
  // The tip is there, and what it is built on is not: the call fails, and the next pass does not.
  lose(true);
  {
    Upstream upstream = at.open();
    fetched(upstream);
    const auto content = upstream.content(tip);
    REQUIRE_FALSE(content);
    CHECK_MESSAGE(content.error().code == ErrorCode::kCorrupt, content.error().message);
    CHECK(paths_of(upstream, fetched(upstream)) == std::vector<std::string>{"a.rego"});
  }
  lose(true);
  Upstream upstream = at.open();
  fetched(upstream);
  const auto known = upstream.has_ancestor(tip, first);
  REQUIRE_FALSE(known);
  CHECK_MESSAGE(known.error().code == ErrorCode::kCorrupt, known.error().message);
  fetched(upstream);
  CHECK(must(upstream.has_ancestor(tip, first)));
}

TEST_CASE("many small fetches are packed together") {
  OpenedUpstream at;
  Upstream upstream = at.open();
  for (int i = 0; i < 24; ++i) {
    at.repository.write("a.rego", fmt::format("package a\n\nn := {}\n", i)).commit("n");
    at.repository.push();
    fetched(upstream);
  }
  size_t packs = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(at.repository_here() / "objects/pack"))
    packs += file.path().extension() == ".pack" ? 1 : 0;
  CHECK(packs < 10);
  // Only what is new is transferred.
  at.repository.pushed("noise.txt", noise(2 << 20));
  fetched(upstream);
  const uint64_t before = bytes_below(at.repository_here());
  at.repository.pushed("a.rego", kPolicy);
  fetched(upstream);
  CHECK(bytes_below(at.repository_here()) < before + 100'000);
  CHECK(git(at.repository_here(), {"rev-list", "--count", "refs/mirror/tip"}) == "26");
}

TEST_CASE("objects that git's fsck refuses do not come in") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", kPolicy);
  const std::string blob = at.repository.run({"rev-parse", "HEAD:a.rego"});
  const auto hostile_tree = [&](const std::string& entries) {
    must(write_file(at.site.file("tree"), entries));
    const std::string tree =
        at.repository.run({"hash-object", "-t", "tree", "-w", "--literally", at.site.file("tree")});
    const std::string commit = at.repository.run({"commit-tree", "-m", "x", tree});
    at.repository.run({"push", "-q", "--force", "origin", commit + ":refs/heads/main"});
  };
  const std::string id = must(from_hex(blob));
  const auto entry = [&](const std::string& mode, const std::string& name) {
    return mode + " " + name + std::string(1, '\0') + id;
  };
  Upstream upstream = at.open();
  for (const std::string& entries :
       {entry("100644", "a.rego") + entry("100644", "a.rego"), entry("100644", ".git"),
        entry("100644", ".."), entry("100644", "a/b"), entry("100644", "b") + entry("100644", "a"),
        entry("0100644", "a")}) {
    hostile_tree(entries);
    const auto done = upstream.fetch(must(upstream.look()));
    REQUIRE_MESSAGE(!done, entries);
    CHECK_MESSAGE(done.error().code == ErrorCode::kInvalidModel, done.error().message);
  }
  at.repository.push();
  CHECK(fetched(upstream).commit == at.repository.head());
}

TEST_CASE("a password is read at each call, and is nowhere but in its file") {
  OpenedUpstream at;
  at.repository.pushed("a.rego", noise(300'000));
  at.config.repository = at.site.url("policies", "private");
  CHECK(at.open().look().error().code == ErrorCode::kDenied);
  at.config.username = GitSite::kUser;
  at.config.password_file = at.folder.path() / "a file's password";
  const std::string wrong = "wrong-password-of-the-site", right(GitSite::kPassword);
  must(write_file(at.config.password_file, wrong + "\n", 0600));
  Upstream upstream = at.open();
  const auto refused = upstream.look();
  REQUIRE_FALSE(refused);
  CHECK_MESSAGE(refused.error().code == ErrorCode::kDenied, refused.error().message);
  CHECK_FALSE(refused.error().message.contains(wrong));

  must(write_file(at.config.password_file, right, 0600));  // rotated; without a newline
  const std::string in_header = to_base64(fmt::format("{}:{}", GitSite::kUser, right));
  std::atomic<size_t> seen = 0, leaks = 0;
  std::jthread watcher([&](const std::stop_token& stop) {
    while (!stop.stop_requested())
      for (const ProcessTexts& process : processes_for(at.folder.path())) {
        if (process.arguments.contains("git-remote-https")) ++seen;
        for (const std::string& secret : {right, in_header})
          if (process.arguments.contains(secret) || process.environment.contains(secret)) ++leaks;
      }
  });
  const UpstreamTip tip = fetched(upstream);
  for (int i = 0; i < 5; ++i) REQUIRE(upstream.look());
  watcher.request_stop();
  watcher.join();
  CHECK(seen > 0);
  CHECK(leaks == 0);
  CHECK(paths_of(upstream, tip).size() == 1);
  std::filesystem::remove(at.config.password_file);
  CHECK_FALSE(is_in_files(at.folder.path(), right));
  CHECK_FALSE(is_in_files(at.folder.path(), in_header));
  CHECK(upstream.look().error().code == ErrorCode::kConfig);
  must(write_file(at.config.password_file, right, 0644));
  const auto readable = upstream.look();
  REQUIRE_FALSE(readable);
  CHECK_MESSAGE(readable.error().message.contains("0644"), readable.error().message);
  std::filesystem::remove(at.config.password_file);
  for (const char* bad : {"", "\n", "two\nlines\n", "\x1b[2J"}) {
    must(write_file(at.config.password_file, bad, 0600));
    CHECK(upstream.look().error().code == ErrorCode::kConfig);
  }
}
