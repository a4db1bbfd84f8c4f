// Ledgers of which releases are lost for good: a release follows an older one than its predecessor.
#include <functional>

#include "notp-server/registry/git_registry.hpp"
#include "notp-server/registry/repository_check.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {
namespace {

samples::Texts small(int step) {
  return {{"manifest.json", "{}"}, {"a/data.json", fmt::format("[{}]", step)}};
}

// The release with that version, whose predecessor is not here.
registry::NewRelease after_gap(const registry::GitRegistry& registry, uint64_t version,
                               const samples::Texts& files) {
  const auto head = registry.head(kLedger);
  registry::NewRelease out = next_release(kLedger, head, model_of(files));
  out.release.version = version;
  out.release.previous_hash = sha256(fmt::format("v{}", version - 1));
  const trust::Envelope envelope = samples::signed_by(out.release, {2});
  out.ref = trust::ref_of(out.release, trust::release_hash(envelope.payload));
  out.envelope = envelope.encode();
  out.follows_gap = true;
  return out;
}

std::vector<uint64_t> versions(const registry::GitRegistry& registry, uint64_t below = 0,
                               size_t rows = 100) {
  std::vector<uint64_t> out;
  for (const auto& info : registry.history(kLedger, below, rows).value())
    out.push_back(info->release.version);
  return out;
}

// v1, v2, v5, v6; v9 is the head.
struct Gaps {
  TemporaryFolder folder;
  const fs::path repository = repository_of(folder.path());

  Gaps() {
    const auto registry = open(folder.path());
    publish_files(*registry, small(1));
    publish_files(*registry, small(2));
    REQUIRE(registry->publish(after_gap(*registry, 5, small(5))));
    publish_files(*registry, small(6));
    REQUIRE(registry->publish(after_gap(*registry, 9, small(9))));
  }
};

TEST_CASE("what is there is read, listed, withdrawn and continued; what is lost says so") {
  const Gaps gaps;
  for (int round = 0; round < 2; ++round) {
    CAPTURE(round);
    const auto registry = open(gaps.folder.path());
    REQUIRE(registry->damaged().empty());
    CHECK(registry->head(kLedger)->release.version == (round == 0 ? 9 : 10));
    for (const uint64_t version : {1, 2, 5, 6, 9})
      check_same(**registry->snapshot(kLedger, version), small(static_cast<int>(version)));
    for (const uint64_t version : {3, 4, 7, 8}) {
      const auto lost = registry->info(kLedger, version);
      REQUIRE_FALSE(lost);
      CHECK(lost.error().code == ErrorCode::kNotFound);
      CHECK_MESSAGE(lost.error().message.contains(fmt::format("v{} is lost", version)),
                    lost.error().message);
      CHECK_FALSE(registry->withdraw(kLedger, version, "why", samples::kAlice, 1));
    }
    const auto above = registry->info(kLedger, 77);
    CHECK_MESSAGE(above.error().message.contains("its head is v"), above.error().message);
    CHECK(versions(*registry, 9) == std::vector<uint64_t>{6, 5, 2, 1});
    CHECK(versions(*registry, 5) == std::vector<uint64_t>{2, 1});
    CHECK(versions(*registry, 4) == std::vector<uint64_t>{2, 1});
    CHECK(versions(*registry, 8, 2) == std::vector<uint64_t>{6, 5});
    const auto marked = registry->withdraw(kLedger, 5, "a mistake", samples::kAlice, 1'000);
    REQUIRE(marked);
    CHECK((*marked)->release.version == 5);
    CHECK(registry->withdrawn(kLedger) == std::vector{(*marked)->ref.release_hash});
    if (round == 0) publish_files(*registry, small(10));
    check_fsck(gaps.repository);
  }
  const auto checked = registry::check_repository(gaps.repository, kLedger);
  REQUIRE_MESSAGE(checked, (checked ? "" : checked.error().message));
  CHECK(checked->size() == 6);
  CHECK((*checked)[2].withdrawn.contains("a mistake"));
}

TEST_CASE("a ledger may begin with a gap, and be cloned") {
  const TemporaryFolder folder;
  {
    const auto registry = open(folder.path());
    REQUIRE(registry->publish(after_gap(*registry, 4, small(4))));
  }
  const auto registry = open(folder.path());
  REQUIRE(registry->damaged().empty());
  CHECK(versions(*registry) == std::vector<uint64_t>{4});
  const fs::path clone = folder.path() / "clone.git";
  git_line(folder.path(), {"clone", "-q", "--mirror", repository_of(folder.path()), clone});
  check_fsck(clone);
}

TEST_CASE("only a release that says so leaves a gap") {
  const TemporaryFolder folder;
  const auto registry = open(folder.path());
  publish_files(*registry, small(1));
  registry::NewRelease release = after_gap(*registry, 4, small(4));
  release.follows_gap = false;
  const auto refused = registry->publish(release);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kStatement);
  release = after_gap(*registry, 1, small(4));
  CHECK_FALSE(registry->publish(release));
  // The next one must follow in any case.
  release = after_gap(*registry, 2, small(4));
  CHECK_FALSE(registry->publish(release));
  release = after_gap(*registry, 4, small(4));
  release.expected_head_hash = sha256("another head");
  CHECK(registry->publish(release).error().code == ErrorCode::kConflict);
  CHECK(versions(*registry) == std::vector<uint64_t>{1});
}

TEST_CASE("a lost tag is damage, as ever, and no gap") {
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> damages = {
      {"before a gap", [](auto& r) { git_line(r, {"tag", "-d", "v2"}); }},
      {"after a gap", [](auto& r) { git_line(r, {"tag", "-d", "v5"}); }},
      {"the first", [](auto& r) { git_line(r, {"tag", "-d", "v1"}); }},
      {"the last", [](auto& r) { git_line(r, {"tag", "-d", "v9"}); }},
      {"main set back over a release",
       [](auto& r) { git_line(r, {"update-ref", "refs/heads/main", "v5^{}"}); }},
      {"main set back over a gap and more",
       [](auto& r) { git_line(r, {"update-ref", "refs/heads/main", "v2^{}"}); }},
      {"main gone", [](auto& r) { git_line(r, {"update-ref", "-d", "refs/heads/main"}); }},
  };
  for (const auto& [name, damage] : damages) {
    CAPTURE(name);
    const Gaps gaps;
    damage(gaps.repository);
    const auto registry = open(gaps.folder.path());
    REQUIRE(registry->damaged().size() == 1);
    CHECK(registry->damaged()[0].error.code == ErrorCode::kCorrupt);
    CHECK_FALSE(registry::check_repository(gaps.repository, kLedger));
  }
}

TEST_CASE("a publish over a gap that a crash cut off is dropped, and can be made again") {
  for (const bool first : {false, true}) {
    CAPTURE(first);
    const TemporaryFolder folder;
    const fs::path repository = repository_of(folder.path());
    {
      const auto registry = open(folder.path());
      if (!first) publish_files(*registry, small(1));
      REQUIRE(registry->publish(after_gap(*registry, 5, small(5))));
    }
    // As a crash leaves it: the tag is there, main is not yet moved.
    git_line(repository, first
                             ? std::vector<std::string>{"update-ref", "-d", "refs/heads/main"}
                             : std::vector<std::string>{"update-ref", "refs/heads/main", "v1^{}"});
    {
      const auto registry = open(folder.path());
      REQUIRE_MESSAGE(registry->damaged().empty(), registry->damaged()[0].error.message);
      CHECK(git_line(repository, {"tag", "-l"}) == (first ? "v5" : "v1"));
      // By now another node holds one that is older.
      REQUIRE(registry->publish(after_gap(*registry, 4, small(4))));
    }
    const auto registry = open(folder.path());
    REQUIRE(registry->damaged().empty());
    CHECK(registry->head(kLedger)->release.version == 4);
    CHECK(git_line(repository, {"tag", "-l"}) == (first ? "v4" : "v1\nv4"));
    check_fsck(repository);
  }
}

}  // namespace
}  // namespace notp
