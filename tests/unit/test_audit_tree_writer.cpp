// The thread that seals the registry's tree: when it seals, and what a full queue, a disk that
// takes nothing and a stop do to what waits. And who reads what.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "notp-server/audit_tree/reads.hpp"
#include "notp-server/audit_tree/tree_writer.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/registry/memory_tree_store.hpp"

namespace notp::audit {
namespace {

struct FailingStore final : MemoryTreeStore {
  std::atomic<bool> is_failing = false;
  std::atomic<int> refused = 0;
  Result<void> append(const TreeGrowth& growth) override {
    if (!is_failing) return MemoryTreeStore::append(growth);
    ++refused;
    return fail(ErrorCode::kIo, "the disk takes no writes");
  }
};

record::TreeEntry entry(int number) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kRead;
  out.time_ms = number;
  out.by = "eve";
  return out;
}

constexpr int64_t kNeverSeals = 3'600'000;

struct Site {
  FailingStore store;
  std::unique_ptr<TreeLog> tree;
  std::optional<TreeWriter> writer;
  std::atomic<int> seals = 0;

  explicit Site(TreeWriterOptions options = {.seal_ms = kNeverSeals}) {
    const PrivateKey key = PrivateKey::from_seed({1});
    auto opened = TreeLog::open(store, "core.internal/decisions/registry/main/00",
                                PrivateKey::from_seed({1}));
    REQUIRE(opened);
    tree = *std::move(opened);
    options.retry_ms = 1;
    options.on_sealed = [this](const SealedCheckpoint&) { ++seals; };
    writer.emplace(*tree, std::move(options));
    writer->start();
  }
  // After stop(): the entries' numbers in their order.
  std::vector<TimeMs> sealed() const {
    std::vector<TimeMs> out;
    for (const Bytes& bytes : store.image.entries)
      out.push_back(record::decode_tree_entry(bytes)->time_ms);
    return out;
  }
};

TEST_CASE("entries wait for the time, and are sealed together") {
  Site site({.seal_ms = 50});
  for (int i = 0; i < 100; ++i) REQUIRE(site.writer->try_add(entry(i)));
  CHECK(wait_until([&] { return site.tree->size() == 100; }));
  CHECK(site.seals <= 3);
}

TEST_CASE("so many that wait are sealed before the time") {
  Site site;
  for (size_t i = 0; i < limits::kSealEntries; ++i) REQUIRE(site.writer->add(entry(1)));
  CHECK(wait_until([&] { return site.tree->size() == limits::kSealEntries; }));
}

TEST_CASE("append_now seals what waits, and returns the index of its last entry") {
  Site site;
  for (int i = 0; i < 5; ++i) REQUIRE(site.writer->try_add(entry(i)));
  CHECK(site.writer->append_now(entry(5)) == 5U);
  CHECK(site.tree->size() == 6);
  const std::vector<record::TreeEntry> three = {entry(6), entry(7), entry(8)};
  CHECK(site.writer->append_now(three) == 8U);
  CHECK(site.tree->size() == 9);
  REQUIRE(site.writer->try_add(entry(9)));
  site.writer->seal_now();
  CHECK(wait_until([&] { return site.tree->size() == 10; }));
  site.writer->stop();
  CHECK(site.sealed() == std::vector<TimeMs>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("entries of many threads are all there, each once, each thread's in its order") {
  Site site({.seal_ms = 5, .queue_max = 20});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&site, thread] {
      for (int i = 0; i < 200; ++i) {
        const record::TreeEntry each = entry(thread * 1'000 + i);
        if (i % 50 == 49 ? !site.writer->append_now(each) : !site.writer->add(each)) std::abort();
      }
    });
  for (std::thread& thread : threads) thread.join();
  site.writer->stop();
  const std::vector<TimeMs> sealed = site.sealed();
  CHECK(sealed.size() == 1'600);
  std::map<TimeMs, TimeMs> last;
  for (const TimeMs each : sealed) {
    const auto [at, is_first] = last.try_emplace(each / 1'000, -1);
    CHECK(each % 1'000 == at->second % 1'000 + 1);
    at->second = each % 1'000;
  }
}

TEST_CASE("a full queue turns away, and a disk that takes nothing loses nothing") {
  Site site({.seal_ms = 1, .queue_max = 10});
  site.store.is_failing = true;
  int added = 0;
  // The first that are taken from the queue make room again.
  CHECK(wait_until([&] {
    while (site.writer->try_add(entry(added))) ++added;
    return site.store.refused > 3 && site.writer->waiting() == 10;
  }));
  CHECK(site.tree->size() == 0);
  auto late = std::async(std::launch::async, [&] { return site.writer->append_now(entry(added)); });
  site.store.is_failing = false;
  CHECK(late.get() == static_cast<uint64_t>(added));
  site.writer->stop();
  const std::vector<TimeMs> sealed = site.sealed();
  REQUIRE(sealed.size() == static_cast<size_t>(added) + 1);
  for (int i = 0; i <= added; ++i) CHECK(sealed[i] == i);
}

TEST_CASE("a stop seals what waits") {
  Site site;
  std::vector<Result<uint64_t>> answers;
  for (int i = 0; i < 7; ++i)
    REQUIRE(
        site.writer->try_add(entry(i), [&](Result<uint64_t> index) { answers.push_back(index); }));
  site.writer->stop();
  CHECK(site.tree->size() == 7);
  REQUIRE(answers.size() == 7);
  for (uint64_t i = 0; i < 7; ++i) CHECK(answers[i] == i);
  CHECK_FALSE(site.writer->try_add(entry(8)));
  CHECK_FALSE(site.writer->add(entry(8)));
  CHECK(site.writer->append_now(entry(8)).error().code == ErrorCode::kCancelled);
}

TEST_CASE("a stop does not wait for a disk that takes nothing, and answers all") {
  Site site({.seal_ms = 1, .queue_max = 10});
  site.store.is_failing = true;
  std::mutex mutex;
  std::vector<ErrorCode> answers;
  for (int i = 0; i < 5; ++i)
    REQUIRE(site.writer->try_add(entry(i), [&](const Result<uint64_t>& index) {
      const std::lock_guard lock(mutex);
      answers.push_back(index.error().code);
    }));
  auto waiting = std::async(std::launch::async, [&] { return site.writer->append_now(entry(9)); });
  CHECK(wait_until([&] { return site.store.refused > 2; }));
  site.writer->stop();
  CHECK(waiting.get().error().code == ErrorCode::kCancelled);
  CHECK(answers == std::vector<ErrorCode>(5, ErrorCode::kCancelled));
  CHECK(site.tree->size() == 0);
}

TEST_CASE("tasks run between seals") {
  Site site;
  std::promise<uint64_t> seen;
  REQUIRE(site.writer->append_now(entry(1)));
  REQUIRE(site.writer->post([&] { seen.set_value(site.tree->size()); }));
  CHECK(seen.get_future().get() == 1);
}

// --- who reads what

struct SeenSink final : TreeSink {
  std::vector<record::TreeEntry> seen;
  bool is_over = false;
  bool try_add(const record::TreeEntry& each) override { return add(each); }
  bool add(const record::TreeEntry& each) override {
    if (!is_over) seen.push_back(each);
    return !is_over;
  }
  Result<uint64_t> append_now(std::span<const record::TreeEntry>) override { return 0; }
  uint64_t sealed_size(const record::LogId&) const override { return 0; }
};

wire::Request question(std::string node, std::string value = {}) {
  wire::DecisionsRequest out;
  out.filter.node = std::move(node);
  out.filter.ledger = "100000000001/payments";
  if (!value.empty()) out.filter.values = {std::move(value)};
  out.rows_max = 5;
  return {3, out};
}

TEST_CASE("who reads records is written once a minute, by kind and reader") {
  SeenSink sink;
  Reads reads(sink);
  const auto note = [&](const char* who, const wire::Request& request, TimeMs now_ms) {
    CHECK(reads.note(who, request, now_ms).has_value());
  };
  note("eve", question("a*", "secret@example.org"), 0);
  note("eve", question("b*"), 59'999);
  note("bob", question("a*"), 59'999);
  note("eve", {4, wire::SegmentRequest{}}, 59'999);
  note("eve", question("c*"), 60'000);
  REQUIRE(sink.seen.size() == 4);
  CHECK(sink.seen[0].kind == record::TreeEntryKind::kRead);
  CHECK(sink.seen[0].by == "eve");
  CHECK(sink.seen[0].rule == "DecisionsRequest node=a* ledger=100000000001/payments values=1");
  CHECK_FALSE(sink.seen[0].digest.is_zero());
  CHECK(sink.seen[1].by == "bob");
  CHECK(sink.seen[2].rule.starts_with("SegmentRequest log=0000"));
  CHECK(sink.seen[3].rule.contains("node=c*"));
  CHECK(sink.seen[3].digest != sink.seen[0].digest);
}

TEST_CASE("pages that go on, and what is about no records, are not written") {
  SeenSink sink;
  Reads reads(sink);
  wire::DecisionsRequest next;
  next.cursor = "a cursor";
  next.rows_max = 5;
  CHECK(reads.note("eve", {1, next}, 0).has_value());
  CHECK(reads.note("eve", {1, wire::SegmentRequest{.log = {}, .position = 0, .offset = 9}}, 0)
            .has_value());
  CHECK(reads.note("eve", {1, wire::TreeRequest{}}, 0).has_value());
  CHECK(reads.note("eve", {1, wire::StatusRequest{}}, 0).has_value());
  CHECK(sink.seen.empty());
}

TEST_CASE("what cannot be written is not read") {
  SeenSink sink;
  sink.is_over = true;
  Reads reads(sink);
  CHECK(reads.note("eve", question("a*"), 0).error().code == ErrorCode::kCancelled);
  // Not even the next one of the minute.
  CHECK(reads.note("eve", question("a*"), 1).error().code == ErrorCode::kCancelled);
}

}  // namespace
}  // namespace notp::audit
