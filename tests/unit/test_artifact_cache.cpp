#include <doctest/doctest.h>
#include <fmt/format.h>

#include <barrier>
#include <thread>

#include "notp-server/registry/registry.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "tests/support/registry/signed_releases.hpp"

namespace notp {
namespace {

using samples::snapshot;

registry::SnapshotPtr sample(uint64_t version) {
  std::string noise;
  for (uint32_t i = 0, x = 7; i < 20'000; ++i) {
    x = x * 69069 + 1;
    noise.push_back(static_cast<char>('0' + (x >> 24) % 64));
  }
  return snapshot(version, {{"manifest.json", "{}"},
                            {"data.json", fmt::format("[{},\"{}\"]", version, noise)}});
}

delta::ReleaseContent side(const registry::Snapshot& of) {
  return {of.envelope, of.content.tree.get(), of.content.loader()};
}

TEST_CASE("an artifact rebuilds its target, with and without a base") {
  serve::ArtifactCache cache;
  const registry::SnapshotPtr one = sample(1);
  const registry::SnapshotPtr two = sample(2);
  for (const registry::SnapshotPtr& base : {registry::SnapshotPtr(), one}) {
    const auto artifact = cache.get(base, two);
    REQUIRE(artifact.has_value());
    CHECK((*artifact)->id ==
          delta::artifact_id(base ? base->ref.release_hash : Hash{}, two->ref.release_hash));
    const delta::ReleaseContent from = base ? side(*base) : delta::ReleaseContent{};
    const auto applied = delta::apply_artifact((*artifact)->bytes, base ? &from : nullptr,
                                               {two->release.total_bytes, two->release.file_count});
    REQUIRE(applied.has_value());
    CHECK(applied->tree->content_root() == two->release.content_root);
  }
  CHECK(cache.counters().misses == 2);
  CHECK(cache.counters().artifacts == 2);
}

TEST_CASE("a pair is encoded once and shared") {
  serve::ArtifactCache cache;
  const registry::SnapshotPtr one = sample(1);
  const registry::SnapshotPtr two = sample(2);
  CHECK(cache.peek(one, two) == nullptr);
  const serve::ArtifactPtr first = cache.get(one, two).value();
  CHECK(cache.get(one, two).value() == first);
  CHECK(cache.peek(one, two) == first);
  CHECK(cache.get(nullptr, two).value() != first);
  CHECK(cache.counters().hits == 1);
  CHECK(cache.counters().misses == 2);
}

TEST_CASE("callers at the same time get one encoding") {
  constexpr size_t kCallers = 8;
  serve::ArtifactCache cache;
  const registry::SnapshotPtr one = sample(1);
  for (uint64_t round = 2; round < 12; ++round) {
    const registry::SnapshotPtr target = sample(round);
    std::barrier start(kCallers);
    std::array<serve::ArtifactPtr, kCallers> got;
    std::vector<std::thread> callers;
    for (size_t i = 0; i < kCallers; ++i)
      callers.emplace_back([&, i] {
        start.arrive_and_wait();
        got[i] = cache.get(one, target).value();
      });
    for (std::thread& caller : callers) caller.join();
    for (const serve::ArtifactPtr& artifact : got) CHECK(artifact == got[0]);
  }
  const auto counters = cache.counters();
  CHECK(counters.misses == 10);
  CHECK(counters.hits + counters.joined == 10 * (kCallers - 1));
}

TEST_CASE("the least recently used artifacts leave when the budget is full") {
  const size_t one_bytes = serve::ArtifactCache().get(nullptr, sample(1)).value()->bytes.size();
  serve::ArtifactCache cache(one_bytes * 5 / 2);  // fits two
  const registry::SnapshotPtr a = sample(1);
  const registry::SnapshotPtr b = sample(2);
  const registry::SnapshotPtr c = sample(3);
  const serve::ArtifactPtr held = cache.get(nullptr, b).value();
  REQUIRE(cache.get(nullptr, a).has_value());
  REQUIRE(cache.get(nullptr, a).has_value());
  REQUIRE(cache.get(nullptr, c).has_value());
  CHECK(cache.peek(nullptr, b) == nullptr);
  CHECK(cache.peek(nullptr, a) != nullptr);
  CHECK(cache.peek(nullptr, c) != nullptr);
  CHECK(held->bytes.size() > 0);  // a holder keeps it alive
  const auto counters = cache.counters();
  CHECK(counters.evicted == 1);
  CHECK(counters.artifacts == 2);
  CHECK(counters.bytes <= one_bytes * 5 / 2);
}

TEST_CASE("artifacts of earlier releases leave when nobody asks for them any more") {
  constexpr uint32_t kRounds = serve::ArtifactCache::kSupersededRounds;
  serve::ArtifactCache cache;
  const auto pass = [&](uint32_t rounds) {
    for (uint32_t round = 0; round < rounds; ++round) cache.drop_superseded();
  };
  const registry::SnapshotPtr one = sample(1), two = sample(2), three = sample(3);
  REQUIRE(cache.get(nullptr, one).has_value());
  REQUIRE(cache.get(nullptr, two).has_value());
  REQUIRE(cache.get(one, two).has_value());
  pass(2 * kRounds);  // of the newest release
  CHECK(cache.peek(nullptr, two) != nullptr);
  CHECK(cache.peek(one, two) != nullptr);
  CHECK(cache.peek(nullptr, one) == nullptr);
  CHECK(cache.counters().superseded == 1);
  REQUIRE(cache.get(two, three).has_value());
  pass(kRounds - 1);
  CHECK(cache.counters().artifacts == 3);
  REQUIRE(cache.find({one->ref.release_hash, two->ref.release_hash}) != nullptr);
  pass(1);
  CHECK(cache.peek(nullptr, two) == nullptr);
  CHECK(cache.peek(one, two) != nullptr);
  pass(kRounds);
  CHECK(cache.counters().artifacts == 1);
  CHECK(cache.counters().superseded == 3);
  CHECK(cache.counters().evicted == 0);
  CHECK(cache.counters().bytes == cache.peek(two, three)->bytes.size());
  CHECK(cache.get(one, two).has_value());
}

TEST_CASE("an artifact above the budget is handed out and not kept") {
  serve::ArtifactCache cache(10);
  const registry::SnapshotPtr one = sample(1);
  CHECK(cache.get(nullptr, one).has_value());
  CHECK(cache.peek(nullptr, one) == nullptr);
  CHECK(cache.counters().bytes == 0);
}

TEST_CASE("a failure is told and not kept") {
  serve::ArtifactCache cache;
  const registry::SnapshotPtr whole = sample(1);
  registry::Snapshot broken = *whole;
  broken.content.blobs.clear();
  const auto target = std::make_shared<const registry::Snapshot>(broken);
  CHECK_FALSE(cache.get(nullptr, target).has_value());
  CHECK_FALSE(cache.get(nullptr, target).has_value());
  CHECK(cache.counters().misses == 2);
  CHECK(cache.get(nullptr, whole).has_value());
}

}  // namespace
}  // namespace notp
