#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <barrier>
#include <thread>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {
namespace {

// texts() has 300 KB of new content in each release.
constexpr uint64_t kThreeReleases = 1'050'000;

std::unique_ptr<registry::GitRegistry> open_within(const fs::path& data, uint64_t budget_bytes) {
  auto registry = registry::GitRegistry::open(data, budget_bytes);
  REQUIRE_MESSAGE(registry.has_value(), (registry ? "" : registry.error().message));
  return *std::move(registry);
}

model::LedgerId ledger_of(int number) { return {kLedger.zone, fmt::format("ledger{}", number)}; }

uint64_t loads(const registry::GitRegistry& registry) { return registry.snapshot_counters().loads; }

void check_reads(registry::GitRegistry& registry, const model::LedgerId& ledger, uint64_t version) {
  const auto snapshot = registry.snapshot(ledger, version);
  REQUIRE(snapshot.has_value());
  CHECK((*snapshot)->ref.release_hash == registry.info(ledger, version).value()->ref.release_hash);
  check_same(**snapshot, texts(static_cast<int>(version)));
}

std::vector<uint64_t> versions_of(const std::vector<std::pair<uint64_t, model::TreePtr>>& trees) {
  std::vector<uint64_t> out;
  for (const auto& [version, tree] : trees) out.push_back(version);
  return out;
}

TEST_CASE("releases of all ledgers stay within one budget, and what left is read back the same") {
  const TemporaryFolder data;
  const auto registry = open_within(data.path(), kThreeReleases);
  const auto check_budget = [&] {
    const auto counters = registry->snapshot_counters();
    CHECK(counters.bytes <= kThreeReleases);
    CHECK(counters.snapshots <= 3);
    CHECK(counters.snapshots >= 1);
  };
  for (int step = 1; step <= 6; ++step)
    for (int number = 0; number < 3; ++number) {
      publish_files(*registry, texts(step), ledger_of(number));
      check_budget();
    }
  CHECK(loads(*registry) == 0);
  for (uint64_t version = 1; version <= 6; ++version)
    for (int number = 0; number < 3; ++number) {
      check_reads(*registry, ledger_of(number), version);
      check_budget();
      CHECK(registry->head(ledger_of(number))->release.version == 6);
    }
  CHECK(loads(*registry) >= 15);
  CHECK(registry->snapshot_counters().evicted >= 15);
}

TEST_CASE("the last two releases of a ledger stay longest") {
  const TemporaryFolder data;
  const auto registry = open_within(data.path(), kThreeReleases);
  for (int step = 1; step <= 5; ++step) publish_files(*registry, texts(step));
  const auto loads_of = [&](uint64_t version) {
    const uint64_t before = loads(*registry);
    check_reads(*registry, kLedger, version);
    return loads(*registry) - before;
  };
  for (const uint64_t old : {1, 2, 1, 3}) CHECK(loads_of(old) == 1);
  CHECK(loads_of(3) == 0);
  CHECK(loads_of(4) == 0);
  CHECK(loads_of(5) == 0);
  publish_files(*registry, texts(6));
  CHECK(loads_of(5) == 0);
  CHECK(loads_of(6) == 0);

  // Two other heads: now the least recently used ones are evicted, whichever ledger they belong to.
  publish_files(*registry, texts(1), ledger_of(1));
  publish_files(*registry, texts(1), ledger_of(2));
  CHECK(loads_of(5) == 1);
}

TEST_CASE("content that releases share is counted once") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  samples::Texts files = {{"manifest.json", "{}"}, {"data.json", std::string(1 << 20, 'x')}};
  for (int step = 1; step <= 6; ++step) {
    files["step.json"] = std::to_string(step);
    publish_files(*registry, files);
  }
  const auto counters = registry->snapshot_counters();
  CHECK(counters.snapshots == 6);
  CHECK(counters.bytes > 1 << 20);
  CHECK(counters.bytes < (1 << 20) + (64 << 10));
}

TEST_CASE("releases that nobody uses leave the memory, heads stay, and what left is read back") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  for (int step = 1; step <= 4; ++step) publish_files(*registry, texts(step));
  publish_files(*registry, texts(1), ledger_of(1));
  const auto snapshots = [&] { return registry->snapshot_counters().snapshots; };
  registry->drop_unused_snapshots();  // all have just been published
  CHECK(snapshots() == 5);
  check_reads(*registry, kLedger, 2);
  const uint64_t bytes = registry->snapshot_counters().bytes;
  registry->drop_unused_snapshots();
  CHECK(snapshots() == 3);
  CHECK(registry->snapshot_counters().unused == 2);
  CHECK(registry->snapshot_counters().bytes + 2 * 300'000 <= bytes);
  CHECK(registry->snapshot_counters().trees == 5);
  registry->drop_unused_snapshots();
  CHECK(snapshots() == 2);
  for (int round = 0; round < 3; ++round) registry->drop_unused_snapshots();
  CHECK(snapshots() == 2);
  CHECK(loads(*registry) == 0);
  check_reads(*registry, kLedger, 4);
  check_reads(*registry, ledger_of(1), 1);
  CHECK(loads(*registry) == 0);
  check_reads(*registry, kLedger, 3);
  CHECK(loads(*registry) == 1);
  // A head is one until the next release.
  publish_files(*registry, texts(5));
  for (int round = 0; round < 2; ++round) registry->drop_unused_snapshots();
  check_reads(*registry, kLedger, 5);
  CHECK(loads(*registry) == 1);
  check_reads(*registry, kLedger, 4);
  CHECK(loads(*registry) == 2);
}

TEST_CASE("releases before the last two take little room, whatever the budget") {
  constexpr size_t kDocumentBytes = 3 << 20;
  const TemporaryFolder data;
  const auto registry = open(data.path());
  for (int step = 1; step <= 6; ++step)
    publish_files(*registry, {{"manifest.json", "{}"},
                              {"data.json", std::string(kDocumentBytes, char('a' + step))}});
  auto counters = registry->snapshot_counters();
  CHECK(counters.snapshots == 2 + registry::SnapshotMemory::kOlderBytes / kDocumentBytes);
  CHECK(counters.bytes < 3 * kDocumentBytes + registry::SnapshotMemory::kOlderBytes);
  for (uint64_t version = 1; version <= 6; ++version)
    REQUIRE(registry->snapshot(kLedger, version).has_value());
  counters = registry->snapshot_counters();
  CHECK(counters.snapshots == 2 + registry::SnapshotMemory::kOlderBytes / kDocumentBytes);
  CHECK(counters.bytes < 3 * kDocumentBytes + registry::SnapshotMemory::kOlderBytes);
}

TEST_CASE("a registry without room for any release serves all of them") {
  const TemporaryFolder data;
  const auto registry = open_within(data.path(), 0);
  for (int step = 1; step <= 3; ++step) {
    check_same(*publish_files(*registry, texts(step)), texts(step));
    CHECK(registry->head(kLedger)->release.version == static_cast<uint64_t>(step));
  }
  for (uint64_t version = 1; version <= 3; ++version) check_reads(*registry, kLedger, version);
  CHECK(loads(*registry) == 3);
  const auto counters = registry->snapshot_counters();
  CHECK(counters.bytes == 0);
  CHECK(counters.snapshots == 0);
  CHECK(registry->recent_trees(kLedger).empty());
  CHECK(registry->history(kLedger, 0, 10)->size() == 3);
}

TEST_CASE("trees of the last releases are known, longer than their content") {
  const TemporaryFolder data;
  const uint64_t count = limits::kSnapshotsPerLedger + 4;
  {
    const auto registry = open_within(data.path(), kThreeReleases);
    CHECK(registry->recent_trees(kLedger).empty());
    for (uint64_t step = 1; step <= count; ++step)
      publish_files(*registry, texts(static_cast<int>(step)));
    CHECK(registry->snapshot_counters().snapshots <= 3);
    CHECK(registry->snapshot_counters().trees == limits::kSnapshotsPerLedger);
    const auto trees = registry->recent_trees(kLedger);
    CHECK(versions_of(trees) == std::vector<uint64_t>{12, 11, 10, 9, 8, 7, 6, 5});
    for (const auto& [version, tree] : trees)
      CHECK(tree->content_root() == registry->info(kLedger, version).value()->release.content_root);
    CHECK(loads(*registry) == 0);
  }
  const auto registry = open_within(data.path(), kThreeReleases);
  CHECK(registry->recent_trees(kLedger).empty());
  check_reads(*registry, kLedger, count - 2);
  check_reads(*registry, kLedger, 1);
  check_reads(*registry, kLedger, count);
  CHECK(versions_of(registry->recent_trees(kLedger)) == std::vector<uint64_t>{12, 10});
}

TEST_CASE("readers and publishers at the same time, with room for little") {
  constexpr size_t kReaders = 6;
  constexpr uint64_t kStored = 4;
  const TemporaryFolder data;
  const auto registry = open_within(data.path(), kThreeReleases);
  for (uint64_t step = 1; step <= kStored; ++step)
    for (int number = 0; number < 2; ++number)
      publish_files(*registry, texts(static_cast<int>(step)), ledger_of(number));
  std::barrier start(kReaders + 1);
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (size_t reader = 0; reader < kReaders; ++reader)
    readers.emplace_back([&, reader] {
      SeededRandom random(reader);
      start.arrive_and_wait();
      for (int i = 0; i < 40; ++i) {
        const model::LedgerId ledger = ledger_of(static_cast<int>(random.below(2)));
        const uint64_t version = 1 + random.below(kStored);
        const auto got = registry->snapshot(ledger, version);
        const model::FileEntry* file =
            got ? (*got)->content.tree->find("payments/rules.rego") : nullptr;
        if (file == nullptr || *(*got)->content.blobs.at(file->hash) !=
                                   texts(static_cast<int>(version)).at("payments/rules.rego"))
          ++wrong;
        if (registry->snapshot_counters().bytes > kThreeReleases) ++wrong;
        static_cast<void>(registry->recent_trees(ledger));
      }
    });
  start.arrive_and_wait();
  for (uint64_t step = kStored + 1; step <= kStored + 6; ++step)
    publish_files(*registry, texts(static_cast<int>(step)), ledger_of(0));
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(registry->snapshot_counters().bytes <= kThreeReleases);
  CHECK(versions_of(registry->recent_trees(ledger_of(0))) ==
        std::vector<uint64_t>{10, 9, 8, 7, 6, 5, 4, 3});
}

}  // namespace
}  // namespace notp
