// Crashes during a publish, and repositories modified by other programs.
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
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {
namespace {

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: publish the next release" * doctest::skip()) {
  const auto registry = open(std::getenv("NOTP_TEST_DATA"));
  const auto head = registry->head(kLedger);
  publish_files(*registry, texts(head ? static_cast<int>(head->release.version) + 1 : 1));
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
        // The publisher, without an answer, sends the same again.
        const auto old = before == 0 ? nullptr : registry->info(kLedger, 1).value();
        const auto retried = registry->publish(
            next_release(kLedger, old, model_of(texts(static_cast<int>(before) + 1))));
        REQUIRE_MESSAGE(retried.has_value(), (retried ? "" : retried.error().message));
        CHECK(registry->head(kLedger)->release.version == before + 1);
        check_fsck(repository);
        publish_files(*registry, texts(50));
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
  publish_files(*registry, texts(77));
  check_same(**registry->snapshot(kLedger, 2), texts(77));
  check_fsck(repository_of(data.path()));
}

TEST_CASE("what a dead writer leaves is cleared at the start") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish_files(*registry, texts(1));
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
  publish_files(*registry, texts(2));
  check_fsck(repository);
}

TEST_CASE("a truncated loose object that somebody left does not hang the registry") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish_files(*registry, texts(1));
  }
  const std::string blob = git_line(repository, {"rev-parse", "v1:a.b"});
  const fs::path loose = repository / "objects" / blob.substr(0, 2) / blob.substr(2);
  fs::create_directories(loose.parent_path());
  std::ofstream(loose) << "x\x01";
  const auto registry = open(data.path());
  check_same(**registry->snapshot(kLedger, 1), texts(1));
}

TEST_CASE("a repository whose objects are loose says how they are packed, and is served then") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish_files(*registry, texts(1));
  }
  // As after `git push` into it.
  const fs::path packs = data.path() / "packs";
  fs::rename(repository / "objects/pack", packs);
  fs::create_directories(repository / "objects/pack");
  for (const auto& entry : fs::directory_iterator(packs))
    if (entry.path().extension() == ".pack")
      REQUIRE(run_command({"sh", "-c", "git -C \"$0\" unpack-objects -q < \"$1\"", repository,
                           entry.path()})
                  .status == 0);
  {
    const auto registry = registry::GitRegistry::open(data.path());
    REQUIRE(registry.has_value());
    REQUIRE((*registry)->damaged().size() == 1);
    CHECK((*registry)->damaged()[0].error.message.contains("git repack -a -d"));
  }
  git_line(repository, {"repack", "-a", "-d", "-q"});
  const auto registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  check_same(**registry->snapshot(kLedger, 1), texts(1));
}

TEST_CASE("one data folder belongs to one registry at a time") {
  const TemporaryFolder data;
  auto registry = open(data.path());
  const auto second = registry::GitRegistry::open(data.path());
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kIo);
  CHECK(second.error().message.contains("another registry"));
  registry.reset();
  CHECK(registry::GitRegistry::open(data.path()).has_value());
}

TEST_CASE("a repository that is gone is never begun anew") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  publish_files(*registry, texts(1));
  fs::rename(repository_of(data.path()), data.path() / "elsewhere");
  const auto refused =
      registry->publish(next_release(kLedger, registry->head(kLedger), model_of(texts(2))));
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
    publish_files(*registry, texts(1));
  }
  REQUIRE(::chown(repository.c_str(), 12345, 12345) == 0);
  {
    const auto registry = open(data.path());
    REQUIRE(registry->damaged().size() == 1);
    CHECK(registry->damaged()[0].error.code == ErrorCode::kCorrupt);
    CHECK(registry->damaged()[0].error.message.contains(repository.string()));
    CHECK_FALSE(registry->head(kLedger));
    const auto refused = registry->publish(next_release(kLedger, nullptr, model_of(texts(2))));
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

samples::Texts with_noise(samples::Texts files) {
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
    const model::LedgerId healthy{kLedger.zone, "healthy"};
    {
      const auto registry = open(data.path());
      for (int step = 1; step <= 3; ++step) publish_files(*registry, texts(step));
      for (int step = 1; step <= 3; ++step) publish_files(*registry, texts(step), healthy);
    }
    damage(repository_of(data.path()));
    const auto registry = open(data.path());
    REQUIRE(registry->damaged().size() == 1);
    const Error error = registry->damaged()[0].error;
    CHECK(error.code == ErrorCode::kCorrupt);
    CHECK(error.message.contains(repository_of(data.path()).string()));
    CHECK(registry->snapshot(kLedger, 1).error().code == ErrorCode::kCorrupt);
    CHECK(registry->history(kLedger, 0, 1).error().code == ErrorCode::kCorrupt);
    CHECK(registry->publish(next_release(kLedger, nullptr, model_of(texts(1)))).error().code ==
          ErrorCode::kCorrupt);
    CHECK(registry->ledgers() == std::vector<model::LedgerId>{healthy});
    CHECK(registry->snapshot(healthy, 3).has_value());
  }
}

TEST_CASE("content that is damaged on the disk is found when it is read") {
  for (const bool truncated : {false, true}) {
    CAPTURE(truncated);
    const TemporaryFolder data;
    {
      const auto registry = open(data.path());
      publish_files(*registry, with_noise(texts(1)));
      publish_files(*registry, texts(2));
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
    // The error of a whole ledger is for peers: the details are in the log.
    CHECK(snapshot.error().message.contains(truncated ? "is damaged at the registry"
                                                      : repository_of(data.path()).string()));
  }
}

TEST_CASE("a main that others moved while the registry runs stops the next publish") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  const auto registry = open(data.path());
  publish_files(*registry, texts(1));
  publish_files(*registry, texts(2));
  const std::string commit = git_line(repository, {"rev-parse", "main"});
  git_line(repository, {"update-ref", "refs/heads/main", "v1^{}"});
  const auto refused =
      registry->publish(next_release(kLedger, registry->head(kLedger), model_of(texts(3))));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kCorrupt);
  CHECK(git_line(repository, {"tag", "-l"}) == "v1\nv2");
  git_line(repository, {"update-ref", "refs/heads/main", commit});
  publish_files(*registry, texts(3));
  CHECK(registry->head(kLedger)->release.version == 3);
}

}  // namespace
}  // namespace notp
