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

// With the packs moved away, a publish that looked for content there would write everything again.
TEST_CASE("a release writes what is new without a look into the packs of those before it") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path()), packs = repository / "objects/pack";
  const auto registry = open(data.path());
  const auto step = [](int number) {
    return samples::Texts{{"a/rules.rego", fmt::format("package a\n\nx := {}\n", number)},
                          {"b/c/rules.rego", "package b.c\n\nx := 1\n"}};
  };
  publish_files(*registry, step(1));
  publish_files(*registry, step(2));
  fs::rename(packs, data.path() / "packs");
  fs::create_directory(packs);
  publish_files(*registry, step(3));
  // A blob, two folders, the commit and the tag.
  CHECK(git_line(repository, {"count-objects", "-v"}).contains("\nin-pack: 5\n"));
  for (const auto& entry : fs::directory_iterator(data.path() / "packs"))
    fs::rename(entry.path(), packs / entry.path().filename());
  check_fsck(repository);
  // Content of an older release.
  publish_files(*registry, step(1));
  check_fsck(repository);
}

TEST_CASE("twenty releases read the same to stock git, after a restart, and by the specification") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  {
    const auto registry = open(data.path());
    for (int step = 1; step <= 19; ++step) publish_files(*registry, texts(step));
    publish_files(*registry, texts(1));  // a rollback: old content, new release
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
  CHECK(registry->ledgers() == std::vector<model::LedgerId>{kLedger});
  for (const int step : {1, 2, 11, 19}) {
    const auto snapshot = registry->snapshot(kLedger, static_cast<uint64_t>(step));
    REQUIRE(snapshot.has_value());
    check_same(**snapshot, texts(step));
    // Where it stands is known again, as when it was published.
    const trust::ReleaseRef expected =
        trust::ref_of((*snapshot)->release, (*snapshot)->ref.release_hash);
    CHECK((*snapshot)->ref == expected);
    CHECK(registry->info(kLedger, static_cast<uint64_t>(step)).value()->ref == expected);
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
  publish_files(*registry, texts(21));
  check_fsck(repository);
}

TEST_CASE("stock gc may repack a ledger between two runs of the registry") {
  const TemporaryFolder data;
  {
    const auto registry = open(data.path());
    for (int step = 1; step <= 5; ++step) publish_files(*registry, texts(step));
  }
  git_line(repository_of(data.path()), {"gc", "-q", "--prune=now"});
  CHECK(fs::exists(repository_of(data.path()) / "packed-refs"));
  const auto registry = open(data.path());
  check_same(**registry->snapshot(kLedger, 3), texts(3));
  publish_files(*registry, texts(6));
  CHECK(registry->head(kLedger)->release.version == 6);
  check_fsck(repository_of(data.path()));
}

TEST_CASE("releases of a ledger share equal content in memory, and old ones come from Git") {
  const TemporaryFolder data;
  const uint64_t count = limits::kSnapshotsPerLedger + 4;
  {
    const auto registry = open(data.path());
    for (uint64_t step = 1; step <= count; ++step)
      publish_files(*registry, texts(static_cast<int>(step)));
    CHECK(*registry->snapshot(kLedger, count) == *registry->snapshot(kLedger, count));
    check_same(**registry->snapshot(kLedger, 1), texts(1));
  }
  const auto registry = open(data.path());
  const registry::SnapshotPtr newest = registry->snapshot(kLedger, count).value();
  const registry::SnapshotPtr oldest = registry->snapshot(kLedger, 1).value();
  CHECK(newest->envelope.is_read());  // once, for all artifacts of it
  const Hash same = newest->content.tree->find("a.b")->hash;
  CHECK(newest->content.blobs.at(same) == oldest->content.blobs.at(same));
  const registry::SnapshotPtr next = publish_files(*registry, texts(99));
  CHECK(next->content.blobs.at(same) == newest->content.blobs.at(same));
}

TEST_CASE("history is paged from the newest, and what is not there is not found") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  CHECK_FALSE(registry->head(kLedger));
  CHECK(registry->info(kLedger, 1).error().code == ErrorCode::kNotFound);
  CHECK(registry->snapshot(kLedger, 1).error().code == ErrorCode::kNotFound);
  CHECK(registry->history(kLedger, 0, 10).error().code == ErrorCode::kNotFound);
  CHECK_FALSE(fs::exists(repository_of(data.path())));
  for (int step = 1; step <= 4; ++step) publish_files(*registry, texts(step));
  const auto versions = [&](uint64_t below, size_t rows) {
    std::vector<uint64_t> out;
    for (const registry::ReleaseInfoPtr& row : registry->history(kLedger, below, rows).value())
      out.push_back(row->release.version);
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
  registry::NewRelease late = next_release(kLedger, nullptr, model_of(texts(2)));
  publish_files(*registry, texts(1));
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

  late.ref.ledger = late.release.ledger = {kLedger.zone, "other"};
  late.expected_head_hash = sha256("a head that never was");
  CHECK(registry->publish(late).error().code == ErrorCode::kConflict);
  CHECK(registry->ledgers().size() == 1);
}

TEST_CASE("a release that the head already is counts as published") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  const registry::NewRelease release = next_release(kLedger, nullptr, model_of(texts(1)));
  const auto first = registry->publish(release);
  const auto again = registry->publish(release);
  REQUIRE(again.has_value());
  CHECK((*again)->commit == (*first)->commit);
  CHECK(registry->head(kLedger)->release.version == 1);
}

TEST_CASE("a release that does not fit its place or its content is refused") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  publish_files(*registry, texts(1));
  const auto code_of = [&](auto change) {
    registry::NewRelease release =
        next_release(kLedger, registry->head(kLedger), model_of(texts(2)));
    change(release);
    return registry->publish(release).error().code;
  };
  CHECK(code_of([](registry::NewRelease& r) { r.release.version = 3; }) == ErrorCode::kStatement);
  CHECK(code_of([](registry::NewRelease& r) { r.release.previous_hash = sha256("x"); }) ==
        ErrorCode::kStatement);
  CHECK(code_of([](registry::NewRelease& r) { r.release.issued_ms = -1; }) ==
        ErrorCode::kStatement);
  CHECK(code_of([](registry::NewRelease& r) { r.content = model_of(texts(3)); }) ==
        ErrorCode::kContentRoot);
  CHECK(code_of([](registry::NewRelease& r) { r.release.total_bytes++; }) ==
        ErrorCode::kContentRoot);
  CHECK(code_of([](registry::NewRelease& r) { r.release.ledger.name = "x"; }) ==
        ErrorCode::kWrongTarget);
  CHECK(code_of([](registry::NewRelease& r) { r.publisher = "a <b>"; }) == ErrorCode::kUsage);
  CHECK(code_of([](registry::NewRelease& r) { r.publisher = "a\nparent 0"; }) == ErrorCode::kUsage);
  CHECK(code_of([](registry::NewRelease& r) { r.message = "\xff"; }) == ErrorCode::kUsage);
  CHECK(code_of([](registry::NewRelease& r) { r.message = std::string(5000, 'x'); }) ==
        ErrorCode::kLimit);
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
          next_release(kLedger, registry->head(kLedger), model_of(texts(++step)), said));
      REQUIRE(published.has_value());
      CHECK((*published)->message == stored);
    }
  }
  const auto registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  for (uint64_t version = 1; version <= words.size(); ++version)
    CHECK(registry->info(kLedger, version).value()->message == words[version - 1].second);
  check_fsck(repository_of(data.path()));
}

TEST_CASE("a tag says for people where a release comes from, and its envelope says so signed") {
  const TemporaryFolder data;
  auto registry = open(data.path());
  publish_files(*registry, texts(1));
  registry::NewRelease next = next_release(kLedger, registry->head(kLedger), model_of(texts(2)));
  next.release.source = trust::Source{.repository = "https://git.example/policies.git",
                                      .ref = "refs/tags/v2",
                                      .commit = std::string(40, 'c'),
                                      .signer = "release@example"};
  const trust::Envelope envelope = samples::signed_by(next.release, {2});
  next.ref = trust::ref_of(next.release, trust::release_hash(envelope.payload));
  next.envelope = envelope.encode();
  REQUIRE(registry->publish(next));
  const fs::path repository = repository_of(data.path());
  const std::string line = "\nSource: " + std::string(40, 'c') +
                           " of refs/tags/v2 in https://git.example/policies.git, signed by "
                           "release@example.\nPublisher: ";
  CHECK(git_line(repository, {"cat-file", "tag", "v2"}).contains(line));
  CHECK_FALSE(git_line(repository, {"cat-file", "tag", "v1"}).contains("\nSource: "));
  CHECK(registry->head(kLedger)->release.source == next.release.source);
  check_fsck(repository);

  // What others call themselves is not taken for the envelope.
  next = next_release(kLedger, registry->head(kLedger), model_of(texts(3)));
  next.release.source = trust::Source{.repository = {},
                                      .ref = {},
                                      .commit = std::string(40, 'c'),
                                      .signer = "-----BEGIN NOTP ENVELOPE-----"};
  const trust::Envelope odd = samples::signed_by(next.release, {2});
  next.ref = trust::ref_of(next.release, trust::release_hash(odd.payload));
  next.envelope = odd.encode();
  REQUIRE(registry->publish(next));
  registry.reset();
  registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  CHECK(registry->head(kLedger)->release.source == next.release.source);
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
      const registry::NewRelease release =
          next_release(kLedger, registry->head(kLedger), model_of(files));
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
  publish_files(*registry, texts(1));
  std::atomic<bool> stop{false};
  std::atomic<size_t> reads{0};
  std::thread reader([&] {
    while (!stop || reads == 0) {
      const auto head = registry->head(kLedger);
      const auto snapshot = registry->snapshot(kLedger, head->release.version);
      if (!snapshot || (*snapshot)->ref.release_hash != head->ref.release_hash)
        FAIL_CHECK("a head without its content");
      if (!registry->snapshot(kLedger, 1)) FAIL_CHECK("an old release is gone");
      ++reads;
    }
  });
  for (int step = 2; step <= 15; ++step) publish_files(*registry, texts(step));
  stop = true;
  reader.join();
  CHECK(reads > 0);
}

}  // namespace
}  // namespace notp
