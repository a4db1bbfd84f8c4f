#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <barrier>
#include <future>
#include <thread>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "protocol/serve/background_thread.hpp"
#include "tests/support/registry/signed_releases.hpp"

namespace notp {
namespace {

using samples::snapshot;

constexpr int kLevel = 12;
constexpr int kSlowLevel = 19;
constexpr size_t kPlenty = 64 << 20;
using Counters = serve::ArtifactCache::Counters;

bool is_idle(const Counters& counters) {
  return counters.recompress_waiting == 0 && counters.recompressing == 0;
}
bool is_running(const Counters& counters) { return counters.recompressing == 1; }

// Realistic data, which a higher level compresses better. Larger than the limit below which
// sections are coded at a high level at once.
std::string records(uint64_t seed, size_t bytes) {
  SeededRandom random(seed);
  std::string out = "[";
  while (out.size() < bytes)
    out +=
        fmt::format(R"({{"id":"u-{:06}","role":"{}","team":"team{}","since":"2024-{:02}-{:02}"}},)",
                    random.below(1'000'000), random.below(2) ? "reader" : "approver",
                    random.below(20), 1 + random.below(12), 1 + random.below(28));
  out.back() = ']';
  return out;
}

registry::SnapshotPtr base_release(const model::LedgerId& ledger = samples::kLedger) {
  return snapshot(1, {{"manifest.json", "{}"}}, ledger);
}

registry::SnapshotPtr large_release(uint64_t version, size_t bytes = 300'000,
                                    const model::LedgerId& ledger = samples::kLedger) {
  return snapshot(version, {{"manifest.json", "{}"}, {"data.json", records(version, bytes)}},
                  ledger);
}

delta::ReleaseContent side(const registry::Snapshot& of) {
  return {of.envelope, of.content.tree.get(), of.content.loader()};
}

void check_makes(const serve::Artifact& artifact, const registry::SnapshotPtr& base,
                 const registry::SnapshotPtr& target) {
  const delta::ReleaseContent from = base ? side(*base) : delta::ReleaseContent{};
  const auto applied =
      delta::apply_artifact(artifact.bytes, base ? &from : nullptr,
                            {target->release.total_bytes, target->release.file_count});
  REQUIRE(applied.has_value());
  CHECK(applied->tree->content_root() == target->release.content_root);
  CHECK(artifact.id == delta::artifact_id(base ? base->ref.release_hash : Hash{},
                                          target->ref.release_hash, artifact.encoding_tier));
}

TEST_CASE("what is asked for often is encoded again, smaller, with an id of its own") {
  serve::ArtifactCache cache(kPlenty, kLevel);
  const registry::SnapshotPtr base = base_release();
  const registry::SnapshotPtr target = large_release(2);
  const serve::ArtifactPtr first = cache.get(base, target).value();
  for (uint64_t asked = 1; asked + 1 < limits::kRecompressAfter; ++asked)
    CHECK(cache.find({base->ref.release_hash, target->ref.release_hash}) == first);
  CHECK(is_idle(cache.counters()));
  CHECK(cache.counters().recompressed == 0);
  CHECK(cache.get(base, target).value() == first);
  cache.wait_until([](const Counters& counters) { return counters.recompressed == 1; });

  const serve::ArtifactPtr smaller = cache.get(base, target).value();
  CHECK(smaller->encoding_tier == kLevel);
  CHECK(smaller->id != first->id);
  CHECK(smaller->bytes.size() < first->bytes.size());
  check_makes(*first, base, target);
  check_makes(*smaller, base, target);
  CHECK(cache.find({base->ref.release_hash, target->ref.release_hash}) == smaller);
  CHECK(cache.peek(base, target) == smaller);
  const Counters counters = cache.counters();
  CHECK(counters.misses == 1);
  CHECK(counters.artifacts == 2);
  CHECK(counters.bytes == first->bytes.size() + smaller->bytes.size());
  CHECK(counters.saved_bytes == 2 * (first->bytes.size() - smaller->bytes.size()));

  SUBCASE("who has the front of one of them goes on with that one") {
    CHECK(cache.get(base, target, first->id).value() == first);
    CHECK(cache.find({base->ref.release_hash, target->ref.release_hash}, first->id) == first);
    CHECK(cache.peek(base, target, first->id) == first);
    CHECK(cache.get(base, target, smaller->id).value() == smaller);
    CHECK(cache
              .get(base, target,
                   delta::artifact_id(base->ref.release_hash, target->ref.release_hash, 3))
              .value() == smaller);
  }
  SUBCASE("it is not encoded a third time") {
    for (uint64_t i = 0; i < 2 * limits::kRecompressAfter; ++i)
      CHECK(cache.get(base, target).value() == smaller);
    CHECK(is_idle(cache.counters()));
    CHECK(cache.counters().recompressed == 1);
  }
}

TEST_CASE("full content is encoded again when it was asked for once") {
  serve::ArtifactCache cache(kPlenty, kLevel);
  const registry::SnapshotPtr target = large_release(2);
  const serve::ArtifactPtr first = cache.get(nullptr, target).value();
  cache.wait_until([](const Counters& counters) { return counters.recompressed == 1; });
  const serve::ArtifactPtr smaller = cache.find({Hash{}, target->ref.release_hash});
  CHECK(smaller->bytes.size() < first->bytes.size());
  check_makes(*smaller, nullptr, target);
}

TEST_CASE("a second encoding that is not smaller is not kept, and not tried again") {
  serve::ArtifactCache cache(kPlenty, kLevel);
  SeededRandom random(5);
  std::string noise(300'000, '\0');
  for (char& byte : noise) byte = static_cast<char>(random.below(256));
  const registry::SnapshotPtr target = snapshot(2, {{"manifest.json", "{}"}, {"noise", noise}});
  const serve::ArtifactPtr first = cache.get(nullptr, target).value();
  cache.wait_until([](const Counters& counters) { return counters.recompressed_in_vain == 1; });
  for (uint64_t i = 0; i < 2 * limits::kRecompressAfter; ++i)
    CHECK(cache.get(nullptr, target).value() == first);
  CHECK(is_idle(cache.counters()));
  CHECK(cache.counters().artifacts == 1);
}

TEST_CASE("small artifacts are left alone, as is everything without a level") {
  serve::ArtifactCache with_level(kPlenty, kLevel);
  serve::ArtifactCache no_level(kPlenty);
  const registry::SnapshotPtr small = large_release(2, 2'000);
  const registry::SnapshotPtr large = large_release(3);
  for (uint64_t i = 0; i < 2 * limits::kRecompressAfter; ++i) {
    REQUIRE(with_level.get(nullptr, small).has_value());
    REQUIRE(no_level.get(nullptr, large).has_value());
  }
  for (const serve::ArtifactCache* cache : {&with_level, &no_level}) {
    CHECK(is_idle(cache->counters()));
    CHECK(cache->counters().recompressed == 0);
  }
}

TEST_CASE("what left the cache is not encoded again, and shutdown waits for nothing") {
  const registry::SnapshotPtr slow = large_release(9, 12 << 20);
  std::array<registry::SnapshotPtr, 3> others;
  size_t other_bytes = 0;
  const std::array<model::LedgerId, 3> ledgers = {model::LedgerId{samples::kLedger.zone, "a"},
                                                  model::LedgerId{samples::kLedger.zone, "b"},
                                                  model::LedgerId{samples::kLedger.zone, "c"}};
  for (size_t i = 0; i < others.size(); ++i) {
    others[i] =
        snapshot(1, {{"manifest.json", "{}"}, {"data.json", records(i, 300'000)}}, ledgers[i]);
    other_bytes =
        std::max(other_bytes, serve::ArtifactCache().get(nullptr, others[i]).value()->bytes.size());
  }
  const size_t slow_bytes = serve::ArtifactCache().get(nullptr, slow).value()->bytes.size();
  serve::ArtifactCache cache(slow_bytes + other_bytes + 100, kSlowLevel);
  const auto after = [&](uint64_t abandoned) {
    cache.wait_until(
        [&](const Counters& counters) { return counters.recompress_abandoned == abandoned; });
  };
  REQUIRE(cache.get(nullptr, slow).has_value());
  cache.wait_until(is_running);

  SUBCASE("before its turn, and in the middle") {
    REQUIRE(cache.get(nullptr, others[0]).has_value());
    CHECK(cache.counters().recompress_waiting == 1);
    REQUIRE(cache.find({Hash{}, slow->ref.release_hash}) != nullptr);
    REQUIRE(cache.get(nullptr, others[1]).has_value());
    CHECK(cache.peek(nullptr, others[0]) == nullptr);
    CHECK(cache.counters().recompress_abandoned == 1);
    CHECK(is_running(cache.counters()));
    REQUIRE(cache.get(nullptr, others[2]).has_value());
    CHECK(cache.peek(nullptr, slow) == nullptr);
    after(2);
    cache.wait_until(is_idle);
  }
  SUBCASE("shutdown does not wait for it") {
    REQUIRE(cache.get(nullptr, others[0]).has_value());
    cache.stop_recompressing();
    CHECK(is_idle(cache.counters()));
    CHECK(cache.counters().recompress_abandoned == 2);
    CHECK(cache.get(nullptr, slow).value()->encoding_tier == 0);
    CHECK(is_idle(cache.counters()));
  }
}

TEST_CASE("only the newest release of a ledger is encoded again, and only from memory") {
  serve::ArtifactCache cache(kPlenty, kLevel);
  const auto abandoned = [](const Counters& counters) {
    return counters.recompress_abandoned == 1;
  };
  const registry::SnapshotPtr base = base_release();
  registry::SnapshotPtr target = large_release(2);
  const serve::ArtifactPair pair{base->ref.release_hash, target->ref.release_hash};
  REQUIRE(cache.get(base, target).has_value());
  REQUIRE(cache.find(pair) != nullptr);
  SUBCASE("superseded") {
    REQUIRE(cache.get(base, large_release(3)).has_value());
    REQUIRE(cache.find(pair) != nullptr);
    cache.wait_until(abandoned);
  }
  SUBCASE("out of memory") {
    target.reset();
    REQUIRE(cache.find(pair) != nullptr);
    cache.wait_until(abandoned);
  }
  CHECK(cache.counters().recompressed == 0);
  CHECK(cache.find(pair)->encoding_tier == 0);
}

TEST_CASE("both encodings count in the budget; the first leaves when there is no room for both") {
  const registry::SnapshotPtr target = large_release(2);
  const serve::ArtifactPtr first = serve::ArtifactCache().get(nullptr, target).value();
  serve::ArtifactCache cache(first->bytes.size() + 1'000, kLevel);
  REQUIRE(cache.get(nullptr, target).has_value());
  cache.wait_until([](const Counters& counters) { return counters.recompressed == 1; });
  const serve::ArtifactPtr smaller = cache.get(nullptr, target, first->id).value();
  CHECK(smaller->encoding_tier == kLevel);
  const Counters counters = cache.counters();
  CHECK(counters.artifacts == 1);
  CHECK(counters.bytes == smaller->bytes.size());
  CHECK(counters.evicted == 1);
}

TEST_CASE("callers at the same time get one encoding, whatever is encoded again meanwhile") {
  constexpr size_t kCallers = 8;
  constexpr uint64_t kRounds = 6;
  serve::ArtifactCache cache(kPlenty, kLevel);
  std::vector<registry::SnapshotPtr> bases, targets;
  for (uint64_t round = 0; round < kRounds; ++round) {
    const model::LedgerId ledger{samples::kLedger.zone, fmt::format("ledger{}", round)};
    const registry::SnapshotPtr base = base_release(ledger);
    const registry::SnapshotPtr target = large_release(2, 300'000, ledger);
    targets.push_back(target);
    bases.push_back(base);
    std::barrier start(kCallers);
    std::array<serve::ArtifactPtr, kCallers> got;
    std::vector<std::thread> callers;
    for (size_t i = 0; i < kCallers; ++i)
      callers.emplace_back([&, i] {
        start.arrive_and_wait();
        got[i] = cache.get(base, target).value();
      });
    for (std::thread& caller : callers) caller.join();
    for (const serve::ArtifactPtr& artifact : got) check_makes(*artifact, base, target);
  }
  cache.wait_until(is_idle);
  const Counters counters = cache.counters();
  CHECK(counters.misses == kRounds);
  CHECK(counters.hits + counters.joined == kRounds * (kCallers - 1));
  CHECK(counters.recompressed == kRounds);
  CHECK(counters.recompress_abandoned == 0);
}

TEST_CASE("an encoding can be stopped at every step, and comes out whole when it is not") {
  const registry::SnapshotPtr base = base_release();
  const registry::SnapshotPtr target = large_release(2, 900'000);
  const delta::ReleaseContent from = side(*base);
  int steps = 0;
  const auto encoded = [&](int stop_at) {
    steps = 0;
    return delta::encode_artifact(
        &from, side(*target),
        {.level = kLevel, .keep_going = [&steps, stop_at] { return ++steps != stop_at; }});
  };
  const auto whole = encoded(-1);
  REQUIRE(whole.has_value());
  const int all = steps;
  CHECK(all >= 4);
  for (int stop_at = 1; stop_at <= all; ++stop_at)
    CHECK(encoded(stop_at).error().code == ErrorCode::kCancelled);
  CHECK(encoded(-1).value() == *whole);
  check_makes({delta::artifact_id(base->ref.release_hash, target->ref.release_hash, kLevel), *whole,
               kLevel},
              base, target);
}

TEST_CASE("a gate holds work back while urgent work is under way") {
  serve::PriorityGate gate;
  CHECK(gate.go_on());
  gate.begin_urgent();
  gate.begin_urgent();
  CHECK_FALSE(gate.is_open());
  std::atomic<bool> releasing{false};
  std::thread work([&] {
    CHECK(gate.go_on());
    CHECK(releasing.load());
  });
  gate.end_urgent();
  releasing = true;
  gate.end_urgent();
  work.join();
  CHECK(gate.is_open());

  gate.drop();
  CHECK_FALSE(gate.go_on());
  gate.renew();
  CHECK(gate.go_on());
  gate.begin_urgent();
  std::thread waiting([&] { CHECK_FALSE(gate.go_on()); });
  gate.stop();
  waiting.join();
  gate.renew();
  CHECK_FALSE(gate.go_on());
}

TEST_CASE("idle work runs at the lowest priority, on a thread of its own") {
  const auto seen = std::make_shared<std::promise<std::pair<int, std::thread::id>>>();
  REQUIRE(serve::start_background(
      [seen] { seen->set_value({sched_getscheduler(0), std::this_thread::get_id()}); }));
  const auto [policy, thread] = seen->get_future().get();
  CHECK(policy == SCHED_IDLE);
  CHECK(thread != std::this_thread::get_id());
  CHECK(sched_getscheduler(0) != SCHED_IDLE);
}

}  // namespace
}  // namespace notp
