// Large documents with small changes: packs that hold a delta, read by this registry and by stock
// git.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "common/limits.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {
namespace {

constexpr const char* kPath = "payments/users/data.json";

std::string records(size_t count) {
  std::string text = "[";
  for (size_t i = 0; i < count; ++i)
    text += fmt::format(R"({}{{"id":{},"name":"person {}","secret":"{:x}"}})", i ? "," : "", i, i,
                        (i + 1) * 0x9e3779b97f4a7c15);
  return text + "]";
}

// 1.5 MB; one record, or one for each step, differs from the previous version.
samples::Texts large(size_t step) {
  static const std::string original = records(22'000);
  samples::Texts files = texts(static_cast<int>(step));
  std::string& text = files[kPath] = original;
  REQUIRE(text.size() > limits::kLargeBlobBytesMin);
  for (size_t i = 0; i < step; ++i) {
    const std::string name = fmt::format("\"person {}\"", 700 * i);
    text.replace(text.find(name), name.size(), fmt::format("\"step {}\"", i));
  }
  return files;
}

std::string blob_of(const fs::path& repository, size_t version) {
  return git_line(repository, {"rev-parse", fmt::format("v{}:{}", version, kPath)});
}

// The length of each blob's delta chain, in the pack where it is longest.
std::map<std::string, int> chains(const fs::path& repository) {
  std::map<std::string, int> found;
  for (const auto& entry : fs::directory_iterator(repository / "objects" / "pack")) {
    if (entry.path().extension() != ".idx") continue;
    std::istringstream lines(git_line(repository, {"verify-pack", "-v", entry.path().string()}));
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string id, type, bytes, packed, offset;
      int depth = 0;
      words >> id >> type >> bytes >> packed >> offset;
      if (type == "blob") {
        words >> depth;
        found[id] = std::max(found[id], depth);
      }
    }
  }
  return found;
}

void check_all(const fs::path& data, size_t versions) {
  check_fsck(repository_of(data));
  const auto registry = open(data);
  REQUIRE(registry->damaged().empty());
  for (size_t version = 1; version <= versions; ++version)
    check_same(**registry->snapshot(kLedger, version), large(version - 1));
}

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: publish two large versions" * doctest::skip()) {
  const auto registry = open(std::getenv("NOTP_TEST_DATA"));
  publish_files(*registry, large(0));
  publish_files(*registry, large(1));
}

TEST_CASE("a large document's small changes are deltas from one base, to stock git too") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  constexpr size_t kVersions = 15;
  {
    const auto registry = open(data.path());
    for (size_t step = 0; step < kVersions; ++step) publish_files(*registry, large(step));
  }
  const auto depths = chains(repository);
  CHECK(depths.at(blob_of(repository, 1)) == 0);
  for (size_t version = 2; version <= kVersions; ++version)
    CHECK(depths.at(blob_of(repository, version)) == 1);

  const fs::path clone = data.path() / "clone.git";
  git_line(data.path(),
           {"clone", "--quiet", "--mirror", "--no-local", repository.string(), clone.string()});
  check_fsck(clone);
  CHECK(git_line(clone, {"log", "--format=%H"}) == git_line(repository, {"log", "--format=%H"}));
  CHECK(git(clone, {"cat-file", "blob", fmt::format("v{}:{}", kVersions, kPath)}).output ==
        large(kVersions - 1).at(kPath));
  CHECK(root_by_specification(repository, "v9", data.path()) ==
        open(data.path())->info(kLedger, 9).value()->release.content_root.hex());
  check_all(data.path(), kVersions);
}

TEST_CASE("a large document after a restart, after gc, and after it changed much") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    publish_files(*registry, large(0));
    publish_files(*registry, large(1));
  }
  {
    const auto registry = open(data.path());
    publish_files(*registry, large(2));  // whole: the packs are not known
    publish_files(*registry, large(3));
    CHECK(chains(repository).at(blob_of(repository, 3)) == 0);
    CHECK(chains(repository).at(blob_of(repository, 4)) == 1);
    git_line(repository, {"gc", "--quiet", "--prune=now"});
    publish_files(*registry, large(4));  // the base's pack is gone
    publish_files(*registry, large(5));
    samples::Texts other = large(6);
    for (char& c : other[kPath])
      if (c == '7') c = '8';
    publish_files(*registry, other);
    CHECK(chains(repository).at(blob_of(repository, 7)) == 0);
    check_same(**registry->snapshot(kLedger, 7), other);
  }
  check_all(data.path(), 6);
}

TEST_CASE("a damaged base is noticed, and the document written whole") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  const auto registry = open(data.path());
  publish_files(*registry, large(0));
  for (const auto& entry : fs::directory_iterator(repository / "objects" / "pack")) {
    if (entry.path().extension() != ".pack") continue;
    fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(entry.path()) / 2));
    file.put('!').put('?');
  }
  publish_files(*registry, large(1));
  CHECK(git(repository, {"cat-file", "blob", fmt::format("v2:{}", kPath)}).output ==
        large(1).at(kPath));
}

TEST_CASE("after a crash behind a change's pack the ledger is as before, and a retry succeeds") {
  for (const std::string point :
       {"registry.after_change_index", "registry.after_changes:2", "registry.after_pack:2",
        "registry.after_tag:2", "registry.after_main:2"}) {
    CAPTURE(point);
    const TemporaryFolder data;
    const CommandResult child =
        run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                     "--test-case=in a child: publish two large versions"},
                    {{"NOTP_TEST_DATA", data.path().string()}, {"NOTP_FAILPOINT", point}});
    REQUIRE(child.status == 137);
    check_fsck(repository_of(data.path()));
    {
      const auto registry = open(data.path());
      REQUIRE(registry->damaged().empty());
      if (registry->head(kLedger)->release.version == 1) publish_files(*registry, large(1));
      publish_files(*registry, large(2));
    }
    check_all(data.path(), 3);
  }
}

}  // namespace
}  // namespace notp
