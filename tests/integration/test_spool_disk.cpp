// The spool on a disk that fails: writes, syncs and the database, each alone.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "tests/support/agent/spools.hpp"
#include "tests/support/interposed.hpp"

namespace notp::spools {
namespace {

using record::GapReason;
using spool::Durability;
using spool::WhenFull;

// What fails in this process, on files of this kind alone: SQLite's are left in peace, but for
// `database`.
struct FailingDisk {
  std::atomic<bool> writes = false, syncs = false, database = false, creation = false;
  // The ring as its last sync has left it, while wanted.
  bool keeps_ring = false;
  std::string synced_ring;
};
FailingDisk disk;

bool is_named(int fd, std::string_view part) { return path_of(fd).contains(part); }

bool must_fail(int fd) {
  return (disk.writes && is_named(fd, spool::kRingFile)) ||
         (disk.creation && is_named(fd, std::string(spool::kRingFile) + ".new")) ||
         (disk.database && is_named(fd, spool::kTableFile));
}

std::string content_of(int fd) {
  std::string out(static_cast<size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  if (::pread(fd, out.data(), out.size(), 0) != std::ssize(out)) std::abort();
  return out;
}

ssize_t refused() {
  errno = EIO;
  return -1;
}

void wait_until(const auto& condition) {
  while (!condition()) std::this_thread::yield();
}

}  // namespace
}  // namespace notp::spools

extern "C" {

ssize_t pwrite(int fd, const void* from, size_t bytes, off_t at) {
  using namespace notp::spools;
  static auto* const real = notp::real_function<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return must_fail(fd) ? refused() : real(fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void* from, size_t bytes, off64_t at) {
  using namespace notp::spools;
  static auto* const real =
      notp::real_function<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return must_fail(fd) ? refused() : real(fd, from, bytes, at);
}

int fdatasync(int fd) {
  using namespace notp::spools;
  static auto* const real = notp::real_function<int(int)>("fdatasync");
  if (!is_named(fd, notp::spool::kRingFile)) return real(fd);
  if (disk.syncs) return static_cast<int>(refused());
  if (disk.keeps_ring) disk.synced_ring = content_of(fd);
  return real(fd);
}

}  // extern "C"

namespace notp::spools {

TEST_CASE("decisions that are given while writes fail are counted exactly") {
  SpoolSite site;
  site.options.when_full = WhenFull::kDropOldest;
  const auto log = site.open();
  append(*log, entry(1));
  disk.writes = true;
  for (uint64_t i = 0; i < 23; ++i) {
    const auto written = log->append(entry(i));
    REQUIRE(written);
    CHECK_FALSE(*written);
  }
  const auto strict = log->append(entry(0, Durability::kStrict));
  REQUIRE_FALSE(strict);
  CHECK(strict.error().code == ErrorCode::kAuditUnavailable);
  CHECK(log->status().is_failing);
  CHECK(log->status().lost == 23);
  disk.writes = false;
  append(*log, entry(2));
  CHECK_FALSE(log->status().is_failing);
  const auto records = all_records(*log, site.spool);
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == GapReason::kFull);
  CHECK(gaps[0].count == 23);
  CHECK(records.back().time_ns == samples::decision_time_ns(2));
}

TEST_CASE("the gap is written when the disk works again, without a further decision") {
  SpoolSite site;
  const auto log = site.open();
  disk.writes = true;
  REQUIRE(log->append(entry(1)));
  disk.writes = false;
  wait_until([&] { return log->status().next == 2; });
  const auto gaps = gaps_in(all_records(*log, site.spool));
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].count == 1);
}

TEST_CASE("refuse refuses while writes fail, and nothing is missing") {
  SpoolSite site;
  site.options.when_full = WhenFull::kRefuse;
  const auto log = site.open();
  disk.writes = true;
  CHECK_FALSE(log->append(entry(1)));
  disk.writes = false;
  append(*log, entry(2));
  const auto records = all_records(*log, site.spool);
  CHECK(records.size() == 2);
  CHECK(gaps_in(records).empty());
}

TEST_CASE("a sync that failed gives the ring up: what waits is refused, nothing is lost") {
  SpoolSite site;
  auto log = site.open();
  for (uint64_t i = 0; i < 5; ++i) append(*log, entry(i));
  disk.syncs = true;
  const record::Position waits = append(*log, entry(5, Durability::kStrict));
  const auto durable = wait_durable(*log, waits);
  REQUIRE_FALSE(durable);
  CHECK(durable.error().code == ErrorCode::kAuditUnavailable);
  // Until there is a new ring, which needs a sync, too.
  const auto strict = log->append(entry(6, Durability::kStrict));
  REQUIRE_FALSE(strict);
  CHECK(strict.error().message.contains("new ring"));
  append(*log, entry(6));
  CHECK(log->status().is_failing);
  SUBCASE("then the disk works") {
    disk.syncs = false;
    wait_until([&] { return !log->status().is_failing; });
    REQUIRE(wait_durable(*log, append(*log, entry(7, Durability::kStrict))));
    site.spool = site.killed_copy("killed");
    log = site.open();
  }
  SUBCASE("then the process is killed") {
    site.spool = site.killed_copy("killed");
    disk.syncs = false;
    log = site.open();
    append(*log, entry(7));
  }
  disk.syncs = false;
  const auto records = all_records(*log, site.spool);
  CHECK(gaps_in(records).empty());
  std::vector<int64_t> times;
  for (const record::Record& found : records)
    if (found.kind() == record::Kind::kDecision) times.push_back(found.time_ns);
  REQUIRE(times.size() == 8);
  for (uint64_t i = 0; i < 8; ++i) CHECK(times[i] == samples::decision_time_ns(i));
}

TEST_CASE("a new ring that cannot be made is tried again") {
  SpoolSite site;
  auto log = site.open();
  disk.creation = true;
  disk.syncs = true;
  CHECK_FALSE(wait_durable(*log, append(*log, entry(1, Durability::kStrict))));
  disk.syncs = false;
  append(*log, entry(2));
  REQUIRE(log->seal_now());
  CHECK(log->status().is_failing);
  disk.creation = false;
  wait_until([&] { return !log->status().is_failing; });
  append(*log, entry(3));
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, record::Kind::kDecision) == 3);
}

TEST_CASE("a database that fails fills the ring, and nothing of it is lost") {
  SpoolSite site;
  site.options.ring_bytes = 128 << 10;
  site.options.when_full = WhenFull::kRefuse;
  auto log = site.open();
  disk.database = true;
  uint64_t written = 0;
  while (log->append(entry(written))) ++written;
  CHECK(written > 50);
  CHECK_FALSE(log->seal_now());
  CHECK(log->status().is_failing);
  CHECK(log->status().is_full);
  SUBCASE("and works again") {
    disk.database = false;
    REQUIRE(log->seal_now());
    CHECK_FALSE(log->status().is_failing);
  }
  SUBCASE("and works again after a restart") {
    site.spool = site.killed_copy("killed");
    disk.database = false;
    log = site.open();
  }
  append(*log, entry(written));
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, record::Kind::kDecision) == written + 1);
  CHECK(gaps_in(records).empty());
}

TEST_CASE("a power cut right after the first start of a new log keeps why it was begun") {
  SpoolSite site;
  auto log = site.open();
  append(*log, entry(1));
  log->close("done");
  const record::LogId before = log->status().log;
  log.reset();
  site.identity.node = "spiffe://shop.example/node/till-8";
  disk.keeps_ring = true;
  log = site.open();
  disk.keeps_ring = false;
  const record::LogId id = log->status().log;
  CHECK(id != before);
  site.spool = site.killed_copy("cut");
  log.reset();
  std::ofstream(site.spool / spool::kRingFile, std::ios::binary | std::ios::trunc)
      << disk.synced_ring;
  site.start_machine("3f0c36a4-0000-4000-8000-000000000003");
  log = site.open();
  CHECK(log->status().log == id);
  CHECK(log->status().run == 2);
  std::vector<record::Record> records;
  REQUIRE(log->read(0, [&](const record::Record& each) { records.push_back(each); }));
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].reason == GapReason::kNewLog);
  CHECK(gaps[0].count == 3);
  CHECK(gaps[0].message.contains(before.hex()));
  CHECK(gaps[1].reason == GapReason::kPowerLoss);
  REQUIRE(records.size() == 3);
  CHECK(records[0].place.run == 1);
  CHECK(records[1].place.run == 1);
  CHECK(records[2].kind() == record::Kind::kRunStart);
}

}  // namespace notp::spools
