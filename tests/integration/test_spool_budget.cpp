// The budget of the log on disk: what happens when it is spent, and what the registry gives back or
// takes again.
#include <fmt/format.h>

#include "tests/support/agent/spools.hpp"

namespace notp::spools {
namespace {

using record::GapReason;
using record::Kind;
using spool::Durability;
using spool::WhenFull;

ErrorCode code_of(const auto& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

}  // namespace

TEST_CASE("a full spool refuses, and takes records again when the registry has them") {
  SpoolSite site;
  site.options.spool_bytes = 40'000;
  site.options.when_full = WhenFull::kRefuse;
  const auto log = site.open();
  uint64_t written = 0;
  while (true) {
    const auto appended = log->append(entry(written));
    if (!appended) {
      CHECK(appended.error().code == ErrorCode::kAuditUnavailable);
      CHECK(appended.error().message.contains("raise spool_bytes"));
      REQUIRE(log->seal_now());  // compressed, there may be room again
      if (log->status().is_full) break;
      continue;
    }
    ++written;
  }
  CHECK(log->status().refused > 0);
  CHECK(log->status().lost == 0);
  CHECK(log->status().spool_bytes <= site.options.spool_bytes);
  log->acknowledged(log->sealed().size);
  REQUIRE(log->seal_now());
  CHECK_FALSE(log->status().is_full);
  append(*log, entry(written));
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, Kind::kDecision) == written + 1);
  CHECK(gaps_in(records).empty());
}

TEST_CASE("a full spool that drops the newest counts them exactly, also when it is killed") {
  SpoolSite site;
  site.options.spool_bytes = 20'000;
  site.options.when_full = WhenFull::kDropNewest;
  auto log = site.open();
  uint64_t written = 0, lost = 0;
  while (lost < 17) {
    const auto appended = log->append(entry(written + lost));
    REQUIRE(appended);
    if (*appended)
      ++written;
    else
      ++lost;
  }
  CHECK(code_of(log->append(entry(0, Durability::kStrict))) == ErrorCode::kAuditUnavailable);
  CHECK(log->status().lost == 17);
  CHECK(log->status().refused == 1);
  SUBCASE("and goes on") {
    REQUIRE(log->seal_now());
    log->acknowledged(log->sealed().size);
    REQUIRE(log->seal_now());
    append(*log, entry(99));
  }
  SUBCASE("and is killed") {
    const auto copy = site.killed_copy("killed");
    log.reset();
    site.spool = copy;
    log = site.open();
    log->acknowledged(UINT64_MAX);
  }
  const auto records = all_records(*log, site.spool);
  const auto gaps = gaps_in(records);
  // The spool's thread may have written some of them meanwhile.
  uint64_t counted = 0;
  for (const record::Gap& gap : gaps) {
    CHECK(gap.reason == GapReason::kFull);
    CHECK_FALSE(gap.at_most);
    counted += gap.count;
  }
  CHECK(counted == 17);
}

TEST_CASE("a full spool that drops the oldest keeps their hashes, and the tree goes on") {
  SpoolSite site;
  site.options.spool_bytes = 60'000;
  site.options.when_full = WhenFull::kDropOldest;
  const auto log = site.open();
  for (uint64_t i = 0; i < 1'000; ++i) {
    append(*log, entry(i));
    if (i % 50 == 49) REQUIRE(log->seal_now());
  }
  const auto records = sealed_records(*log, key_of(*log, site.spool));
  REQUIRE(records.size() == 1'001);
  const auto dropped = static_cast<uint64_t>(
      std::ranges::count_if(records, [](const auto& record) { return !record; }));
  CHECK(dropped > 100);
  CHECK(dropped == log->status().bodies_dropped);
  CHECK(log->status().spool_bytes <= site.options.spool_bytes);
  CHECK(log->status().lost == 0);
  // The oldest are gone, the newest are there.
  for (uint64_t i = 0; i < records.size(); ++i) CHECK(records[i].has_value() == (i >= dropped));
  CHECK(code_of(log->append(entry(0, Durability::kStrict))) == ErrorCode::kAuditUnavailable);
}

TEST_CASE("a registry that went back counts: what it lost is kept, and fills the spool") {
  SpoolSite site;
  site.options.spool_bytes = 60'000;
  site.options.when_full = WhenFull::kRefuse;
  auto log = site.open();
  std::vector<record::Position> ends;
  for (uint64_t i = 0; log->status().spool_bytes <= site.options.spool_bytes / 2; ++i) {
    append(*log, entry(i));
    if (i % 10 != 9) continue;
    REQUIRE(log->seal_now());
    ends.push_back(log->sealed().size);
  }
  const uint64_t bytes = log->status().spool_bytes;
  const int64_t oldest_ms = log->status().oldest_ms;
  const auto acknowledge = [&](record::Position next) {
    log->acknowledged(next);
    REQUIRE(log->seal_now());
  };
  acknowledge(ends.back());
  CHECK(log->status().spool_bytes == 0);
  CHECK(log->status().oldest_ms == 0);
  SUBCASE("to nothing") {
    acknowledge(0);
    CHECK(log->status().acknowledged == 0);
    CHECK(log->status().spool_bytes == bytes);
    CHECK(log->status().oldest_ms == oldest_ms);
    CHECK(log->sealed().oldest_ms == oldest_ms);
    // As much as it still takes until it is full, and no more.
    for (uint64_t i = 0; !log->status().is_full; ++i) {
      REQUIRE(i < 1'000);
      (void)log->append(entry(i));
      REQUIRE(log->seal_now());
    }
    CHECK(log->status().spool_bytes <= site.options.spool_bytes);
    CHECK(log->status().spool_bytes > bytes);
    acknowledge(log->sealed().size);
    CHECK_FALSE(log->status().is_full);
  }
  SUBCASE("by one segment, and it is not deleted, also after a restart") {
    acknowledge(ends[ends.size() - 2]);
    CHECK(log->status().spool_bytes > 0);
    CHECK(log->status().spool_bytes < bytes);
    append(*log, entry(99));
    REQUIRE(log->seal_now());
    log.reset();
    auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
    spool::LogState state = table->load().value().value();
    CHECK(state.acknowledged == ends[ends.size() - 2]);
    REQUIRE(
        table->remove_acknowledged(state, {.sealed_before = INT64_MAX, .bytes_max = UINT64_MAX}));
    CHECK(state.kept.size() == ends[ends.size() - 2]);
    CHECK(table->segment(ends[ends.size() - 2]));
    table.reset();
    log = site.open();
    CHECK(log->status().acknowledged == ends[ends.size() - 2]);
    // What is deleted cannot be sent: it is no part of what remains to be acknowledged.
    acknowledge(0);
    CHECK(log->status().acknowledged == ends[ends.size() - 2]);
    CHECK(log->sealed().first == ends[ends.size() - 2]);
  }
  SUBCASE("and no further than the log reaches") {
    acknowledge(UINT64_MAX);
    CHECK(log->status().acknowledged == ends.back());
    append(*log, entry(99));
    REQUIRE(log->seal_now());
    CHECK(log->status().acknowledged == ends.back());
    CHECK(log->status().spool_bytes > 0);
  }
}

TEST_CASE("a registry that went back costs the bodies that exceed the budget, oldest first") {
  SpoolSite site;
  site.options.spool_bytes = 20'000;
  site.options.when_full = WhenFull::kDropOldest;
  const auto log = site.open();
  for (uint64_t i = 0; i < 300; ++i) {
    append(*log, entry(i));
    if (i % 10 != 9) continue;
    REQUIRE(log->seal_now());
    log->acknowledged(log->sealed().size);
  }
  REQUIRE(log->seal_now());
  CHECK(log->status().bodies_dropped == 0);
  log->acknowledged(0);
  REQUIRE(log->seal_now());
  CHECK(log->status().acknowledged == 0);
  CHECK(log->status().spool_bytes <= site.options.spool_bytes);
  const uint64_t dropped = log->status().bodies_dropped;
  CHECK(dropped > 0);
  CHECK(dropped < 300);
  const auto records = sealed_records(*log, key_of(*log, site.spool));
  for (uint64_t i = 0; i < records.size(); ++i) CHECK(records[i].has_value() == (i >= dropped));
}

TEST_CASE("bodies with gap records go last, so that what they count stays to be seen") {
  SpoolSite site;
  site.options.spool_bytes = 40'000;
  site.options.when_full = WhenFull::kDropOldest;
  auto log = site.open();
  constexpr uint64_t kSegments = 30, kEach = 40;
  const auto has_gap = [](uint64_t segment) { return segment == 1 || segment == 4; };
  for (uint64_t segment = 0; segment < kSegments; ++segment) {
    if (has_gap(segment)) {
      record::Gap gap;
      gap.reason = GapReason::kSource;
      gap.count = 3;
      gap.source = "opa-1";
      append(*log, {1, gap, nullptr, Durability::kBatched});
      append(*log, {2, gap, nullptr, Durability::kBatched});
    }
    for (uint64_t i = 0; i < kEach; ++i) append(*log, entry(segment * kEach + i));
    REQUIRE(log->seal_now());
  }
  CHECK(log->status().bodies_dropped > 10 * kEach);
  uint64_t counted = 0;
  const auto records = sealed_records(*log, key_of(*log, site.spool));
  for (const auto& found : records)
    if (found)
      if (const auto* gap = std::get_if<record::Gap>(&found->content)) counted += gap->count;
  CHECK(counted == 12);
  log.reset();
  // When only such are left, they go as well: the tree goes on, and the table says what they held.
  auto table = spool::SegmentTable::open(site.spool / spool::kTableFile).value();
  std::vector<uint32_t> gaps;
  while (const auto dropped = table->drop_oldest_body(0).value()) gaps.push_back(dropped->gaps);
  REQUIRE(gaps.size() > 2);
  CHECK(std::vector(gaps.end() - 2, gaps.end()) == std::vector<uint32_t>{2, 2});
  CHECK(std::ranges::count(gaps, 0U) == std::ssize(gaps) - 2);
}

}  // namespace notp::spools
