#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <barrier>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "common/limits.hpp"
#include "notp-server/registry/git_registry.hpp"
#include "tests/support/command.hpp"
#include "tests/support/signed_releases.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;
using samples::kLedger;
using samples::model;
using samples::next_release;

std::unique_ptr<GitRegistry> open(const fs::path& data) {
  auto registry = GitRegistry::open(data);
  REQUIRE_MESSAGE(registry.has_value(), (registry ? "" : registry.error().message));
  return *std::move(registry);
}

fs::path repository_of(const fs::path& data, const LedgerId& ledger = kLedger) {
  return data / "ledgers" / std::to_string(ledger.zone) / (ledger.name + ".git");
}

CommandResult git(const fs::path& repository, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"git", "-C", repository.string()});
  return run_command(arguments, {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                                 {"GIT_CONFIG_NOSYSTEM", "1"},
                                 {"GIT_AUTHOR_NAME", "somebody"},
                                 {"GIT_AUTHOR_EMAIL", "somebody@example.org"},
                                 {"GIT_COMMITTER_NAME", "somebody"},
                                 {"GIT_COMMITTER_EMAIL", "somebody@example.org"}});
}

std::string git_line(const fs::path& repository, std::vector<std::string> arguments) {
  CommandResult result = git(repository, std::move(arguments));
  REQUIRE_MESSAGE(result.status == 0, result.output);
  if (result.output.ends_with('\n')) result.output.pop_back();
  return result.output;
}

samples::FileTexts texts(int step) {
  samples::FileTexts files = {
      {"manifest.json", R"({"roots":["payments"]})"},
      {"payments/rules.rego", fmt::format("package payments\nallow if input.n > {}\n", step)},
      // Names around '/' in byte order, where a wrong order of tree entries would show.
      {"a/z/data.json", "{}"},
      {"a-b/data.json", "[1]"},
      {"a.b", "dot"},
      {"a0", "zero"},
      {"a1/data.json", fmt::format("[{}]", step)},
      {"payments/large/data.json", std::string(300'000, static_cast<char>('a' + step % 26))}};
  files[fmt::format("step{}/data.json", step % 3)] = fmt::format("{{\"step\":{}}}", step);
  return files;
}

SnapshotPtr publish(GitRegistry& registry, const samples::FileTexts& files,
                    const LedgerId& ledger = kLedger) {
  auto published =
      registry.publish(next_release(ledger, registry.head(ledger), model(files), "a change"));
  REQUIRE_MESSAGE(published.has_value(), (published ? "" : published.error().message));
  return *published;
}

void check_same(const Snapshot& stored, const samples::FileTexts& files) {
  REQUIRE(stored.content.tree->files().size() == files.size());
  for (const auto& [path, text] : files) {
    const FileEntry* entry = stored.content.tree->find(path);
    REQUIRE(entry != nullptr);
    CHECK(*stored.content.blobs.at(entry->hash) == text);
  }
}

// The stock tool finds nothing to say about the repository, but that it is empty when it is.
void check_fsck(const fs::path& repository) {
  const CommandResult fsck = git(repository, {"fsck", "--strict", "--full", "--no-dangling"});
  CHECK(fsck.status == 0);
  std::istringstream lines(fsck.output);
  for (std::string line; std::getline(lines, line);)
    if (line != "notice: HEAD points to an unborn branch (main)" &&
        line != "notice: No default references")
      FAIL_CHECK(line);
}

std::string root_by_specification(const fs::path& repository, const std::string& tag,
                                  const fs::path& scratch) {
  const fs::path archive = scratch / (tag + ".tar");
  git_line(repository, {"archive", "--format=tar", "-o", archive.string(), tag});
  const char* source = std::getenv("NOTP_SOURCE");
  REQUIRE(source != nullptr);
  const CommandResult root = run_command(
      {"python3", "-B", fmt::format("{}/tests/support/content_root.py", source), archive.string()});
  REQUIRE_MESSAGE(root.status == 0, root.output);
  return root.output.substr(0, 64);
}

TEST_CASE("twenty releases read the same to stock git, after a restart, and by the specification") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    for (int step = 1; step <= 19; ++step) publish(*registry, texts(step));
    publish(*registry, texts(1));  // a rollback: old content, new release
    check_fsck(repository);
  }
  CHECK(git_line(repository, {"symbolic-ref", "HEAD"}) == "refs/heads/main");
  CHECK(git_line(repository, {"rev-list", "--count", "main"}) == "20");
  CHECK(git_line(repository, {"rev-parse", "v20^{tree}"}) ==
        git_line(repository, {"rev-parse", "v1^{tree}"}));
  CHECK(git_line(repository, {"diff", "--name-only", "v4", "v7"}) ==
        "a1/data.json\npayments/large/data.json\npayments/rules.rego\nstep1/data.json");
  CHECK(git_line(repository, {"log", "-1", "--format=%an|%ae|%at|%s", "v3"}) ==
        "spiffe://core-platform.internal/publisher/alice|alice@publisher.core-platform.internal|"
        "1700000180|a change");
  CHECK(git_line(repository, {"log", "-1", "--format=%(trailers:key=Notp-Version,valueonly)", "v3"})
            .starts_with("3"));
  const std::string counts = git_line(repository, {"count-objects", "-v"});
  CHECK(counts.starts_with("count: 0\n"));
  CHECK(counts.contains("\npacks: 20\n"));
  CHECK(counts.contains("\ngarbage: 0\n"));

  const TemporaryFolder scratch;
  const auto registry = open(data.path());
  CHECK(registry->ledgers() == std::vector<LedgerId>{kLedger});
  for (const int step : {1, 2, 11, 19}) {
    const auto snapshot = registry->snapshot(kLedger, static_cast<uint64_t>(step));
    REQUIRE(snapshot.has_value());
    check_same(**snapshot, texts(step));
    CHECK((*snapshot)->publisher == samples::kAlice);
    CHECK((*snapshot)->message == "a change");
    const std::string tag = fmt::format("v{}", step);
    CHECK((*snapshot)->commit == git_line(repository, {"rev-parse", tag + "^{commit}"}));
    CHECK((*snapshot)->release.content_root.hex() ==
          root_by_specification(repository, tag, scratch.path()));
  }
  const fs::path clone = scratch.path() / "clone";
  git_line(data.path(), {"clone", "-q", repository.string(), clone.string()});
  CHECK(git_line(clone, {"tag", "-l", "v1*"}).contains("v19"));
  CHECK(fs::file_size(clone / "payments/large/data.json") == 300'000);
  publish(*registry, texts(21));
  check_fsck(repository);
}

TEST_CASE("stock gc may repack a ledger between two runs of the registry") {
  const TemporaryFolder data;
  {
    const auto registry = open(data.path());
    for (int step = 1; step <= 5; ++step) publish(*registry, texts(step));
  }
  git_line(repository_of(data.path()), {"gc", "-q", "--prune=now"});
  CHECK(fs::exists(repository_of(data.path()) / "packed-refs"));
  const auto registry = open(data.path());
  check_same(**registry->snapshot(kLedger, 3), texts(3));
  publish(*registry, texts(6));
  CHECK(registry->head(kLedger)->release.version == 6);
  check_fsck(repository_of(data.path()));
}

TEST_CASE("releases of a ledger share equal content in memory, and old ones come from Git") {
  const TemporaryFolder data;
  const uint64_t count = limits::kSnapshotsPerLedger + 4;
  {
    const auto registry = open(data.path());
    for (uint64_t step = 1; step <= count; ++step)
      publish(*registry, texts(static_cast<int>(step)));
    CHECK(*registry->snapshot(kLedger, count) == *registry->snapshot(kLedger, count));
    check_same(**registry->snapshot(kLedger, 1), texts(1));
  }
  const auto registry = open(data.path());
  const SnapshotPtr newest = registry->snapshot(kLedger, count).value();
  const SnapshotPtr oldest = registry->snapshot(kLedger, 1).value();
  const Hash same = newest->content.tree->find("a.b")->hash;
  CHECK(newest->content.blobs.at(same) == oldest->content.blobs.at(same));
  const SnapshotPtr next = publish(*registry, texts(99));
  CHECK(next->content.blobs.at(same) == newest->content.blobs.at(same));
}

TEST_CASE("history is paged from the newest, and what is not there is not found") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  CHECK_FALSE(registry->head(kLedger).has_value());
  CHECK(registry->info(kLedger, 1).error().code == ErrorCode::kNotFound);
  CHECK(registry->snapshot(kLedger, 1).error().code == ErrorCode::kNotFound);
  CHECK(registry->history(kLedger, 0, 10).error().code == ErrorCode::kNotFound);
  CHECK_FALSE(fs::exists(repository_of(data.path())));
  for (int step = 1; step <= 4; ++step) publish(*registry, texts(step));
  const auto versions = [&](uint64_t below, size_t rows) {
    std::vector<uint64_t> out;
    for (const ReleaseInfo& row : registry->history(kLedger, below, rows).value())
      out.push_back(row.release.version);
    return out;
  };
  CHECK(versions(0, 3) == std::vector<uint64_t>{4, 3, 2});
  CHECK(versions(2, 3) == std::vector<uint64_t>{1});
  CHECK(versions(1, 3).empty());
  CHECK(versions(77, 1) == std::vector<uint64_t>{4});
  CHECK(registry->info(kLedger, 5).error().code == ErrorCode::kNotFound);
  CHECK(registry->info(kLedger, 0).error().code == ErrorCode::kNotFound);
}

TEST_CASE("a publish on a head that moved is a conflict that says who moved it") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  NewRelease late = next_release(kLedger, std::nullopt, model(texts(2)));
  publish(*registry, texts(1));
  const auto refused = registry->publish(late);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kConflict);
  CHECK(refused.error().message ==
        "the head of 273165098782/payments moved to v1 (by publisher/alice at "
        "2023-11-14T22:14:20Z): run `notp plan` against it, then publish again");
  const std::map<std::string, std::string> context(refused.error().context.begin(),
                                                   refused.error().context.end());
  CHECK(context.at("head_version") == "1");
  CHECK(context.at("head_publisher") == samples::kAlice);
  CHECK(context.at("head_issued_ms") == "1700000060000");

  late.ledger = late.release.ledger = {kLedger.zone, "other"};
  late.expected_head = sha256("a head that never was");
  CHECK(registry->publish(late).error().code == ErrorCode::kConflict);
  CHECK(registry->ledgers().size() == 1);
}

TEST_CASE("a release that the head already is counts as published") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  const NewRelease release = next_release(kLedger, std::nullopt, model(texts(1)));
  const auto first = registry->publish(release);
  const auto again = registry->publish(release);
  REQUIRE(again.has_value());
  CHECK((*again)->commit == (*first)->commit);
  CHECK(registry->head(kLedger)->release.version == 1);
}

TEST_CASE("a release that does not fit its place or its content is refused") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  publish(*registry, texts(1));
  const auto code_of = [&](auto change) {
    NewRelease release = next_release(kLedger, registry->head(kLedger), model(texts(2)));
    change(release);
    return registry->publish(release).error().code;
  };
  CHECK(code_of([](NewRelease& r) { r.release.version = 3; }) == ErrorCode::kStatement);
  CHECK(code_of([](NewRelease& r) { r.release.previous = sha256("x"); }) == ErrorCode::kStatement);
  CHECK(code_of([](NewRelease& r) { r.release.issued_ms = -1; }) == ErrorCode::kStatement);
  CHECK(code_of([](NewRelease& r) { r.content = model(texts(3)); }) == ErrorCode::kContentRoot);
  CHECK(code_of([](NewRelease& r) { r.release.total_bytes++; }) == ErrorCode::kContentRoot);
  CHECK(code_of([](NewRelease& r) { r.release.ledger.name = "x"; }) == ErrorCode::kWrongTarget);
  CHECK(code_of([](NewRelease& r) { r.publisher = "a <b>"; }) == ErrorCode::kUsage);
  CHECK(code_of([](NewRelease& r) { r.publisher = "a\nparent 0"; }) == ErrorCode::kUsage);
  CHECK(code_of([](NewRelease& r) { r.message = "\xff"; }) == ErrorCode::kUsage);
  CHECK(code_of([](NewRelease& r) { r.message = std::string(5000, 'x'); }) == ErrorCode::kLimit);
  CHECK(registry->head(kLedger)->release.version == 1);
}

TEST_CASE("the publisher's words come back as they were, whatever they look like") {
  const TemporaryFolder data;
  const std::vector<std::pair<std::string, std::string>> words = {
      {"", "Release v1"},
      {"\n\n subject\r\n\nbody\t1\n\n", "subject \n\nbody\t1"},
      {"fix\n\nNotp-Version: 9\nNotp-Release: 00\nNotp-Content-Root: 00",
       "fix\n\nNotp-Version: 9\nNotp-Release: 00\nNotp-Content-Root: 00"},
      {"-----END NOTP ENVELOPE-----", "-----END NOTP ENVELOPE-----"}};
  {
    const auto registry = open(data.path());
    int step = 0;
    for (const auto& [said, stored] : words) {
      const auto published = registry->publish(
          next_release(kLedger, registry->head(kLedger), model(texts(++step)), said));
      REQUIRE(published.has_value());
      CHECK((*published)->message == stored);
    }
  }
  const auto registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  for (uint64_t version = 1; version <= words.size(); ++version)
    CHECK(registry->info(kLedger, version)->message == words[version - 1].second);
  check_fsck(repository_of(data.path()));
}

TEST_CASE("of two publishers at once, exactly one wins each round") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  constexpr int kRounds = 15;
  std::barrier round(2);
  std::array<std::array<bool, kRounds>, 2> won{};
  const auto publisher = [&](size_t who) {
    for (int i = 0; i < kRounds; ++i) {
      const auto files = texts(static_cast<int>(who) * 100 + i);
      const NewRelease release = next_release(kLedger, registry->head(kLedger), model(files));
      round.arrive_and_wait();
      const auto published = registry->publish(release);
      won[who][static_cast<size_t>(i)] = published.has_value();
      if (!published && published.error().code != ErrorCode::kConflict)
        FAIL_CHECK(published.error().message);
      round.arrive_and_wait();
    }
  };
  std::thread other(publisher, 1);
  publisher(0);
  other.join();
  for (size_t i = 0; i < kRounds; ++i) CHECK(won[0][i] != won[1][i]);
  CHECK(registry->head(kLedger)->release.version == kRounds);
  check_fsck(repository_of(data.path()));
}

TEST_CASE("readers of facts and content are not disturbed by publishes") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  publish(*registry, texts(1));
  std::atomic<bool> stop{false};
  std::atomic<size_t> reads{0};
  std::thread reader([&] {
    while (!stop || reads == 0) {
      const auto head = registry->head(kLedger);
      const auto snapshot = registry->snapshot(kLedger, head->release.version);
      if (!snapshot || (*snapshot)->hash != head->hash) FAIL_CHECK("a head without its content");
      if (!registry->snapshot(kLedger, 1)) FAIL_CHECK("an old release is gone");
      ++reads;
    }
  });
  for (int step = 2; step <= 15; ++step) publish(*registry, texts(step));
  stop = true;
  reader.join();
  CHECK(reads > 0);
}

// Runs in a process of its own, which a failpoint ends.
TEST_CASE("in a child: publish the next release" * doctest::skip()) {
  const auto registry = open(std::getenv("NOTP_TEST_DATA"));
  const auto head = registry->head(kLedger);
  publish(*registry, texts(head ? static_cast<int>(head->release.version) + 1 : 1));
}

int publish_in_child(const fs::path& data, const std::string& failpoint) {
  const CommandResult child =
      run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                   "--test-case=in a child: publish the next release"},
                  {{"NOTP_TEST_DATA", data.string()}, {"NOTP_FAILPOINT", failpoint}});
  return child.status;
}

TEST_CASE("after a crash in a publish the ledger holds the old or the new, and a retry succeeds") {
  for (const bool first : {true, false}) {
    for (const std::string point : {"after_pack", "after_tag", "after_main"}) {
      CAPTURE(first);
      CAPTURE(point);
      const TemporaryFolder data;
      const fs::path repository = repository_of(data.path());
      const uint64_t before = first ? 0 : 1;
      if (!first) REQUIRE(publish_in_child(data.path(), "") == 0);
      REQUIRE(publish_in_child(data.path(), "registry." + point) == 137);
      check_fsck(repository);
      {
        const auto registry = open(data.path());
        REQUIRE(registry->damaged().empty());
        const auto head = registry->head(kLedger);
        const uint64_t version = head ? head->release.version : 0;
        CHECK(version == before + (point == "after_main" ? 1 : 0));
        if (head)
          check_same(**registry->snapshot(kLedger, version), texts(static_cast<int>(version)));
        // The publisher, who got no answer, sends the same again.
        const auto old = before == 0 ? std::nullopt : std::optional(*registry->info(kLedger, 1));
        const auto retried = registry->publish(
            next_release(kLedger, old, model(texts(static_cast<int>(before) + 1))));
        REQUIRE_MESSAGE(retried.has_value(), (retried ? "" : retried.error().message));
        CHECK(registry->head(kLedger)->release.version == before + 1);
        check_fsck(repository);
        publish(*registry, texts(50));
      }
      const auto registry = open(data.path());
      REQUIRE(registry->damaged().empty());
      CHECK(registry->head(kLedger)->release.version == before + 2);
      CHECK(git_line(repository, {"tag", "-l"}) == (first ? "v1\nv2" : "v1\nv2\nv3"));
      check_fsck(repository);
    }
  }
}

TEST_CASE("another release may take the place of one that a crash cut off") {
  const TemporaryFolder data;
  REQUIRE(publish_in_child(data.path(), "") == 0);
  REQUIRE(publish_in_child(data.path(), "registry.after_tag") == 137);
  const auto registry = open(data.path());
  CHECK(git_line(repository_of(data.path()), {"tag", "-l"}) == "v1");
  publish(*registry, texts(77));
  check_same(**registry->snapshot(kLedger, 2), texts(77));
  check_fsck(repository_of(data.path()));
}

TEST_CASE("what a dead writer leaves is cleared at the start") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish(*registry, texts(1));
  }
  const std::string name(40, 'e');
  const std::vector<fs::path> leftovers = {repository / "refs/heads/main.lock",
                                           repository / "refs/tags/v2.lock",
                                           repository / "packed-refs.lock",
                                           repository / "objects/pack/tmp_pack_x1",
                                           repository / "objects/pack/pack_git2_abcdef",
                                           repository / ("objects/pack/pack-" + name + ".idx"),
                                           repository / ("objects/pack/pack-" + name + ".idx.lock"),
                                           repository.parent_path() / "unborn.git.new/HEAD"};
  fs::create_directories(leftovers.back().parent_path());
  for (const fs::path& leftover : leftovers) std::ofstream(leftover) << "cut short";
  const auto registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  for (const fs::path& leftover : leftovers) CHECK_FALSE(fs::exists(leftover));
  publish(*registry, texts(2));
  check_fsck(repository);
}

TEST_CASE("a truncated loose object that somebody left does not hang the registry") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish(*registry, texts(1));
  }
  const std::string blob = git_line(repository, {"rev-parse", "v1:a.b"});
  const fs::path loose = repository / "objects" / blob.substr(0, 2) / blob.substr(2);
  fs::create_directories(loose.parent_path());
  std::ofstream(loose) << "x\x01";
  const auto registry = open(data.path());
  check_same(**registry->snapshot(kLedger, 1), texts(1));
}

TEST_CASE("one data folder belongs to one registry at a time") {
  const TemporaryFolder data;
  auto registry = open(data.path());
  const auto second = GitRegistry::open(data.path());
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kIo);
  CHECK(second.error().message.contains("another registry"));
  registry.reset();
  CHECK(GitRegistry::open(data.path()).has_value());
}

TEST_CASE("a repository that is gone is never begun anew") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  publish(*registry, texts(1));
  fs::rename(repository_of(data.path()), data.path() / "elsewhere");
  const auto refused =
      registry->publish(next_release(kLedger, registry->head(kLedger), model(texts(2))));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kCorrupt);
  CHECK_FALSE(fs::exists(repository_of(data.path())));
}

TEST_CASE("a repository of another user is refused, and not replaced") {
  if (::geteuid() != 0) {
    MESSAGE("needs root to give a repository away");
    return;
  }
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish(*registry, texts(1));
  }
  REQUIRE(::chown(repository.c_str(), 12345, 12345) == 0);
  {
    const auto registry = open(data.path());
    REQUIRE(registry->damaged().size() == 1);
    CHECK(registry->damaged()[0].error.code == ErrorCode::kCorrupt);
    CHECK(registry->damaged()[0].error.message.contains(repository.string()));
    CHECK_FALSE(registry->head(kLedger).has_value());
    const auto refused = registry->publish(next_release(kLedger, std::nullopt, model(texts(2))));
    CHECK(refused.error().code == ErrorCode::kCorrupt);
  }
  REQUIRE(::chown(repository.c_str(), 0, 0) == 0);
  CHECK(open(data.path())->head(kLedger)->release.version == 1);
}

fs::path largest_pack(const fs::path& repository) {
  fs::path largest;
  for (const auto& entry : fs::directory_iterator(repository / "objects/pack"))
    if (entry.path().extension() == ".pack" &&
        (largest.empty() || entry.file_size() > fs::file_size(largest)))
      largest = entry.path();
  return largest;
}

void flip_middle_byte(const fs::path& file) {
  fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(fs::file_size(file) / 2));
  const char byte = static_cast<char>(bytes.get() ^ 1);
  bytes.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
  bytes.put(byte);
}

samples::FileTexts with_noise(samples::FileTexts files) {
  std::string& noise = files["noise"];
  for (uint32_t i = 0, x = 1; i < 400'000; ++i) {
    x = x * 69069 + 1;
    noise.push_back(static_cast<char>(x >> 24));
  }
  return files;
}

TEST_CASE("a damaged ledger is named, refused, and does not take the others with it") {
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> damages = {
      {"another tag", [](auto& r) { git_line(r, {"tag", "-f", "-a", "v2", "-m", "x", "v2^{}"}); }},
      {"tags swapped", [](auto& r) { git_line(r, {"update-ref", "refs/tags/v2", "v1"}); }},
      {"a light tag", [](auto& r) { git_line(r, {"update-ref", "refs/tags/v2", "v2^{commit}"}); }},
      {"a tag gone", [](auto& r) { git_line(r, {"tag", "-d", "v1"}); }},
      {"main set back", [](auto& r) { git_line(r, {"update-ref", "refs/heads/main", "v1^{}"}); }},
      {"main gone", [](auto& r) { git_line(r, {"update-ref", "-d", "refs/heads/main"}); }},
      {"main empty", [](auto& r) { fs::resize_file(r / "refs/heads/main", 0); }},
      {"a commit by hand",
       [](auto& r) {
         const std::string commit = git_line(r, {"commit-tree", "-m", "by hand", "v3^{tree}"});
         git_line(r, {"update-ref", "refs/heads/main", commit});
       }},
      {"another ledger's tag",
       [](auto& r) {
         const fs::path other = r.parent_path() / "healthy.git";
         git_line(r, {"fetch", "-q", other.string(), "+refs/tags/v2:refs/tags/v2"});
       }},
      {"HEAD gone", [](auto& r) { fs::remove(r / "HEAD"); }},
  };
  for (const auto& [name, damage] : damages) {
    CAPTURE(name);
    const TemporaryFolder data;
    const LedgerId healthy{kLedger.zone, "healthy"};
    {
      const auto registry = open(data.path());
      for (int step = 1; step <= 3; ++step) publish(*registry, texts(step));
      for (int step = 1; step <= 3; ++step) publish(*registry, texts(step), healthy);
    }
    damage(repository_of(data.path()));
    const auto registry = open(data.path());
    REQUIRE(registry->damaged().size() == 1);
    const Error& error = registry->damaged()[0].error;
    CHECK(error.code == ErrorCode::kCorrupt);
    CHECK(error.message.contains(repository_of(data.path()).string()));
    CHECK(registry->snapshot(kLedger, 1).error().code == ErrorCode::kCorrupt);
    CHECK(registry->history(kLedger, 0, 1).error().code == ErrorCode::kCorrupt);
    CHECK(registry->publish(next_release(kLedger, std::nullopt, model(texts(1)))).error().code ==
          ErrorCode::kCorrupt);
    CHECK(registry->ledgers() == std::vector<LedgerId>{healthy});
    CHECK(registry->snapshot(healthy, 3).has_value());
  }
}

TEST_CASE("content that is damaged on the disk is found when it is read") {
  for (const bool truncated : {false, true}) {
    CAPTURE(truncated);
    const TemporaryFolder data;
    {
      const auto registry = open(data.path());
      publish(*registry, with_noise(texts(1)));
      publish(*registry, texts(2));
    }
    const fs::path pack = largest_pack(repository_of(data.path()));
    if (truncated)
      fs::resize_file(pack, fs::file_size(pack) / 2);
    else
      flip_middle_byte(pack);
    const auto registry = open(data.path());
    CHECK(registry->damaged().size() == (truncated ? 1 : 0));
    const auto snapshot = registry->snapshot(kLedger, 1);
    REQUIRE_FALSE(snapshot.has_value());
    CHECK(snapshot.error().code == ErrorCode::kCorrupt);
    CHECK(snapshot.error().message.contains(repository_of(data.path()).string()));
  }
}

TEST_CASE("a main that others moved while the registry runs stops the next publish") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  const auto registry = open(data.path());
  publish(*registry, texts(1));
  publish(*registry, texts(2));
  const std::string commit = git_line(repository, {"rev-parse", "main"});
  git_line(repository, {"update-ref", "refs/heads/main", "v1^{}"});
  const auto refused =
      registry->publish(next_release(kLedger, registry->head(kLedger), model(texts(3))));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kCorrupt);
  CHECK(git_line(repository, {"tag", "-l"}) == "v1\nv2");
  git_line(repository, {"update-ref", "refs/heads/main", commit});
  publish(*registry, texts(3));
  CHECK(registry->head(kLedger)->release.version == 3);
}

}  // namespace
}  // namespace notp
