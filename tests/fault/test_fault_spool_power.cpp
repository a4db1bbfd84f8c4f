// Power cuts at every operation of spool.db, and of the ring: of what was durable nothing is lost
// or twice, and of the rest the log says how much.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/fault/fault_disk.hpp"
#include "tests/support/agent/spools.hpp"
#include "tests/support/results.hpp"

namespace notp::spools {
namespace {

using Fault = FaultDisk::Fault;
using record::GapReason;
using record::Kind;
using spool::Durability;

std::string boot_id_of(uint64_t n) { return fmt::format("{:08x}-0000-4000-8000-000000000000", n); }

// A power cut at the nth operation of seals and an acknowledgement; false: there is no nth one.
bool cut_at(uint64_t n, Fault fault) {
  FaultDisk& disk = FaultDisk::instance();
  SpoolSite site;
  auto log = site.open();
  constexpr uint64_t kBefore = 5, kStrict = 10;
  for (uint64_t i = 0; i < kBefore; ++i) append(*log, entry(i));
  REQUIRE(log->seal_now());
  const record::Position first = log->sealed().size;
  for (uint64_t i = kBefore; i < kBefore + kStrict; ++i)
    REQUIRE(wait_durable(*log, append(*log, entry(i, Durability::kStrict))));
  disk.arm(n, fault);
  (void)log->seal_now();
  log->acknowledged(first);
  append(*log, entry(kBefore + kStrict));
  (void)log->seal_now();
  const bool struck = disk.struck();
  if (fault == Fault::kOnce) disk.disarm();
  const bool whole = fault == Fault::kOnce && log->seal_now().has_value();
  log.reset();
  disk.disarm();
  if (fault == Fault::kPower) {
    SeededRandom random(n);
    disk.power_cut(random);
    site.start_machine(boot_id_of(n));
  }
  log = site.open();
  CHECK(log->status().trouble.empty());
  const auto records = all_records(*log, site.spool);
  uint64_t next = 0;
  for (const record::Record& found : records)
    if (found.kind() == Kind::kDecision) CHECK(found.time_ns == samples::decision_time_ns(next++));
  // The last one was not synced.
  CHECK(next >= kBefore + kStrict);
  CHECK(next + (fault == Fault::kPower ? 1 : 0) >= kBefore + kStrict + 1);
  for (const record::Gap& gap : gaps_in(records)) {
    CHECK(gap.reason == GapReason::kPowerLoss);
    CHECK(gap.at_most);
  }
  CHECK((!whole || gaps_in(records).empty()));
  return struck;
}

// A power cut at the nth operation of the first start of a log that follows another one; false:
// there is no nth one.
bool cut_new_log_at(uint64_t n) {
  FaultDisk& disk = FaultDisk::instance();
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 5; ++i) append(*log, entry(i));
  REQUIRE(log->seal_now());
  const record::Position acknowledged = log->sealed().size;
  log->acknowledged(acknowledged);
  for (uint64_t i = 5; i < 12; ++i) append(*log, entry(i));
  log->close("done");
  const uint64_t lost = log->sealed().size - acknowledged;
  const record::LogId before = log->status().log;
  log.reset();
  site.identity.node = "spiffe://shop.example/node/till-8";
  disk.arm(n, Fault::kPower);
  (void)spool::DecisionSpool::open(site.spool, site.options, site.identity);
  const bool struck = disk.struck();
  disk.disarm();
  SeededRandom random(n);
  disk.power_cut(random);
  site.start_machine(boot_id_of(n));
  log = site.open();
  CHECK(log->status().log != before);
  REQUIRE(log->seal_now());
  uint64_t starts = 0;
  std::vector<record::Gap> gaps;
  const auto read = log->read(0, [&](const record::Record& each) {
    if (each.place.position == 0) CHECK(each.kind() == Kind::kGap);
    if (each.kind() == Kind::kRunStart) ++starts;
    if (const auto* gap = std::get_if<record::Gap>(&each.content)) gaps.push_back(*gap);
  });
  REQUIRE(read);
  CHECK(starts >= 1);
  REQUIRE_FALSE(gaps.empty());
  CHECK(gaps[0].reason == GapReason::kNewLog);
  // This disk leaves an empty file where a renaming that it takes back had put one; it does not
  // follow the ring's own writes, so that the ring may be empty, too.
  const bool is_emptied = gaps[0].message.contains("spool.db is empty");
  CHECK(gaps[0].count == (is_emptied ? 0 : lost));
  CHECK(gaps[0].message.contains(before.hex()));
  for (size_t i = 1; i < gaps.size(); ++i) {
    CHECK(gaps[i].at_most);
    CHECK((gaps[i].reason == GapReason::kPowerLoss || gaps[i].reason == GapReason::kDamaged));
  }
  return struck;
}

}  // namespace

TEST_CASE(
    "a log that follows another one says so, and how much is lost, after a power cut at any "
    "operation of its first start") {
  FaultDisk::instance();
  uint64_t n = 1;
  for (bool struck = true; struck; ++n) {
    INFO("operation ", n);
    struck = cut_new_log_at(n);
  }
  CHECK(n > 8);
  record_result("spool: the power fails at every operation of the first start of a new log",
                fmt::format("{} cuts", n - 1), "each says what came before");
}

TEST_CASE("spool.db on a disk that fails at any operation loses and repeats nothing") {
  FaultDisk::instance();
  uint64_t cuts = 0;
  for (const Fault fault : {Fault::kOnce, Fault::kDead, Fault::kPower}) {
    uint64_t n = 1;
    for (bool struck = true; struck; ++n, ++cuts) {
      INFO("fault ", static_cast<int>(fault), " at operation ", n);
      struck = cut_at(n, fault);
    }
    CHECK(n > 8);
  }
  record_result("spool: spool.db fails once, for good or with the power, at every operation",
                fmt::format("{} faults", cuts), "0 lost, 0 twice");
}

TEST_CASE("a power cut keeps each unsynced page of the ring or not, and strict records always") {
  constexpr uint64_t kCuts = 150;
  SeededRandom random(5);
  uint64_t gaps = 0, kept = 0;
  for (uint64_t cut = 0; cut < kCuts; ++cut) {
    INFO("cut ", cut);
    SpoolSite site;
    site.options.ring_bytes = 128 << 10;
    auto log = site.open();
    const uint64_t strict = 1 + random.below(20), batched = 1 + random.below(20);
    for (uint64_t i = 0; i < strict; ++i) append(*log, entry(i));
    REQUIRE(wait_durable(*log, append(*log, entry(strict, Durability::kStrict))));
    const auto durable = site.killed_copy("durable");
    for (uint64_t i = 0; i < batched; ++i) append(*log, entry(strict + 1 + i));
    site.spool = site.killed_copy("cut");
    // Sectors reach the disk in any order.
    const auto content_of = [](const std::filesystem::path& file) {
      std::ifstream in(file, std::ios::binary);
      return std::string{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    };
    const std::string old = content_of(durable / spool::kRingFile);
    std::string now = content_of(site.spool / spool::kRingFile);
    REQUIRE(old.size() == now.size());
    constexpr size_t kSector = 512;
    for (size_t at = 0; at < now.size(); at += kSector)
      if (random.below(2) == 0) now.replace(at, kSector, old, at, kSector);
    std::ofstream(site.spool / spool::kRingFile, std::ios::binary | std::ios::trunc) << now;
    site.start_machine(boot_id_of(cut + 1));
    log = site.open();
    const auto records = all_records(*log, site.spool);
    uint64_t next = 0;
    for (const record::Record& found : records)
      if (found.kind() == Kind::kDecision)
        CHECK(found.time_ns == samples::decision_time_ns(next++));
    CHECK(next > strict);
    kept += next - strict - 1;
    const auto found = gaps_in(records);
    REQUIRE(found.size() == 1);
    CHECK(found[0].reason == GapReason::kPowerLoss);
    CHECK(found[0].count >= strict + 1 + batched - next);
    ++gaps;
  }
  CHECK(gaps == kCuts);
  record_result("spool: power cuts that keep each unsynced sector of the ring or not",
                fmt::format("{} cuts", kCuts),
                fmt::format("0 strict records lost, {} batched ones kept, every cut a gap", kept));
}

}  // namespace notp::spools
