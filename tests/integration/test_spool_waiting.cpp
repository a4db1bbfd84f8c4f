// A disk that takes nothing when the agent starts: the spool is opened when it does.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio.hpp>
#include <cerrno>
#include <future>
#include <thread>

#include "notp-client/app/opa_records.hpp"
#include "notp-client/spool/spool_metrics.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/spools.hpp"
#include "tests/support/interposed.hpp"
#include "tests/support/process/process.hpp"

namespace notp::spools {
namespace {

using record::GapReason;
using record::Kind;
using spool::Durability;
using spool::WhenFull;

// While it is set, no new ring can be filled in this process.
std::atomic<bool> is_disk_full = false;

bool is_new_ring(int fd) { return path_of(fd).ends_with(".ring.new"); }

ssize_t no_space() {
  errno = ENOSPC;
  return -1;
}

double metric(const spool::SpoolStatus& status, std::string_view name) {
  prometheus::Registry registry;
  spool::SpoolMetrics metrics(registry);
  metrics.update(status, read_clock().wall_ms);
  for (const auto& family : registry.Collect())
    if (family.name == name)
      return family.type == prometheus::MetricType::Gauge ? family.metric.at(0).gauge.value
                                                          : family.metric.at(0).counter.value;
  return -1;
}

// A site whose disk is full, or whose folder cannot be made.
struct WaitingSite : SpoolSite {
  explicit WaitingSite(WhenFull when_full) {
    options.when_full = when_full;
    options.open_retry_ms = 20;
  }
  ~WaitingSite() { is_disk_full = false; }
  std::unique_ptr<spool::DecisionSpool> open_or_wait() const {
    auto opened = spool::DecisionSpool::open_or_wait(spool, options, identity);
    REQUIRE_MESSAGE(opened, opened.error().message);
    return *std::move(opened);
  }
  // The folder's parent is a file.
  void block_parent() {
    std::ofstream(folder.path() / "disk") << "not mounted";
    spool = folder.path() / "disk" / "decisions";
  }
  void mount_parent() const {
    std::filesystem::remove(folder.path() / "disk");
    std::filesystem::create_directory(folder.path() / "disk");
  }
};

void wait_open(const spool::DecisionSpool& log) {
  REQUIRE(wait_until([&] { return log.status().is_open; }));
}

}  // namespace
}  // namespace notp::spools

extern "C" {

ssize_t pwrite(int fd, const void* from, size_t bytes, off_t at) {
  using namespace notp::spools;
  static auto* const real = notp::real_function<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return is_disk_full && is_new_ring(fd) ? no_space() : real(fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void* from, size_t bytes, off64_t at) {
  using namespace notp::spools;
  static auto* const real =
      notp::real_function<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return is_disk_full && is_new_ring(fd) ? no_space() : real(fd, from, bytes, at);
}

}  // extern "C"

namespace notp::spools {

TEST_CASE("a folder that cannot be used at the start is opened when it can, and the gap is exact") {
  WaitingSite site(WhenFull::kDropOldest);
  bool is_parent = false;
  SUBCASE("a full disk") { is_disk_full = true; }
  SUBCASE("a parent that is missing") {
    is_parent = true;
    site.block_parent();
  }
  const auto log = site.open_or_wait();
  auto status = log->status();
  CHECK_FALSE(status.is_open);
  CHECK(status.is_failing);
  CHECK_FALSE(status.trouble.empty());
  CHECK(metric(status, "notp_agent_spool_open") == 0);
  CHECK(metric(status, "notp_agent_spool_full") == 1);
  const auto strict = log->append(entry(0, Durability::kStrict));
  REQUIRE_FALSE(strict);
  CHECK(strict.error().code == ErrorCode::kAuditUnavailable);
  CHECK(strict.error().message.contains(status.trouble));
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 3; ++thread)
    threads.emplace_back([&] {
      for (uint64_t i = 0; i < 100; ++i) {
        const auto written = log->append(entry(i));
        CHECK(written);
        if (written) CHECK_FALSE(*written);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(log->seal_now());
  CHECK_FALSE(log->segment(0));
  log->drop("shop/desk", record::Outcome::kAllow, "noise");
  if (is_parent) site.mount_parent();
  is_disk_full = false;
  wait_open(*log);
  append(*log, entry(7));
  REQUIRE(wait_durable(*log, append(*log, entry(8, Durability::kStrict))));
  status = log->status();
  CHECK(status.lost == 300);
  CHECK(status.refused == 1);
  CHECK(status.recorded == 2);
  CHECK(status.trouble.empty());
  CHECK(metric(status, "notp_agent_spool_open") == 1);
  CHECK(metric(status, "notp_agent_decisions_unrecorded_total") == 300);
  const auto records = all_records(*log, site.spool);
  REQUIRE(records.size() >= 4);
  CHECK(records[0].kind() == Kind::kRunStart);
  const auto gaps = gaps_in(records);
  REQUIRE(gaps.size() == 1);
  const auto first_of = [&](Kind kind) {
    return std::ranges::find(records, kind, &record::Record::kind);
  };
  CHECK(first_of(Kind::kGap) < first_of(Kind::kDecision));
  CHECK(gaps[0].reason == GapReason::kFull);
  CHECK(gaps[0].count == 300);
  CHECK(count_of_kind(records, Kind::kDecision) == 2);
  CHECK(count_of_kind(records, Kind::kDropped) == 1);
}

TEST_CASE("threads that decide while the spool opens are recorded or counted, each once") {
  WaitingSite site(WhenFull::kDropNewest);
  is_disk_full = true;
  const auto log = site.open_or_wait();
  std::atomic<uint64_t> recorded = 0, unrecorded = 0;
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (uint64_t i = 0; recorded < 400; ++i) {
        const auto written = log->append(entry(i % 50));
        if (written) ++(*written ? recorded : unrecorded);
      }
    });
  while (unrecorded < 100) std::this_thread::yield();
  is_disk_full = false;
  for (std::thread& thread : threads) thread.join();
  const auto records = all_records(*log, site.spool);
  CHECK(count_of_kind(records, Kind::kDecision) == recorded);
  uint64_t counted = 0;
  for (const record::Gap& gap : gaps_in(records)) counted += gap.count;
  CHECK(counted == unrecorded);
}

TEST_CASE("refuse refuses until the spool opens, and then nothing is missing") {
  WaitingSite site(WhenFull::kRefuse);
  is_disk_full = true;
  const auto log = site.open_or_wait();
  const auto refused = log->append(entry(1));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kAuditUnavailable);
  is_disk_full = false;
  wait_open(*log);
  append(*log, entry(2));
  const auto records = all_records(*log, site.spool);
  CHECK(gaps_in(records).empty());
  CHECK(count_of_kind(records, Kind::kDecision) == 1);
}

TEST_CASE("a spool that waits can be closed, and refuses afterwards") {
  WaitingSite site(WhenFull::kDropOldest);
  is_disk_full = true;
  const auto log = site.open_or_wait();
  CHECK_FALSE(*log->append(entry(1)));
  CHECK_FALSE(log->begin_new_log("it is a fork"));
  log->close("done");
  CHECK_FALSE(log->append(entry(2)));
  log->close("again");
}

TEST_CASE("what waiting cannot help fails the start") {
  WaitingSite site(WhenFull::kDropOldest);
  const auto log = site.open();
  const auto second = spool::DecisionSpool::open_or_wait(site.spool, site.options, site.identity);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kConflict);
}

TEST_CASE("what OPA posts is refused until the spool opens, and then recorded") {
  WaitingSite site(WhenFull::kDropOldest);
  is_disk_full = true;
  const auto log = site.open_or_wait();
  client::ClientConfig config;
  config.decisions.folder = site.spool;
  config.decisions.opa_posts = true;
  config.pdp.opa.url = "http://127.0.0.1:1";
  boost::asio::thread_pool pool(1);
  prometheus::Registry registry;
  auto opened = client::OpaRecords::open(config, *log, pool, registry);
  REQUIRE_MESSAGE(opened, opened.error().message);
  client::OpaRecords& opa = **opened;
  const auto release = compose({{"payments", 1, {"payments"}, {{"a.rego", "package payments"}}}});
  opa.offered(release.active_set);
  CHECK(std::string_view(opa.status()["trouble"].as_string()).contains("open"));
  const http::Handler handler = opa.logs_handler();
  http::Request request;
  request.body =
      R"([{"decision_id":"0f5a0f9e-0000-4000-8000-000000000001","labels":{"id":"opa-1"},"path":"payments/allow","result":true,"timestamp":"2026-01-01T00:00:00Z"}])";
  const auto post = [&] {
    boost::asio::io_context context;
    auto answer = boost::asio::co_spawn(context, handler(request), boost::asio::use_future);
    context.run();
    return answer.get().status;
  };
  CHECK(post() == 503);
  is_disk_full = false;
  REQUIRE(wait_until([&] { return post() != 503; }));
  CHECK(post() == 204);
  opened->reset();
  pool.join();
  CHECK(count_of_kind(all_records(*log, site.spool), Kind::kDecision) == 1);
}

}  // namespace notp::spools
