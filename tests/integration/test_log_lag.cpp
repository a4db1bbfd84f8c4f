// How far the registry's copy of a node's decision records is behind: what a node says, what is
// stored, what is kept of nodes that are away.
#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "notp-server/audit/audit_metrics.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/service/log_intake.hpp"
#include "tests/support/registry/node_logs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr TimeMs kNow = 1'764'374'400'000, kHour = 3'600'000;

wire::LogOffer offer_of(const samples::NodeLog& log, TimeMs oldest_age_ms) {
  return {log.id, log.tree.size(), log.tree.root(), static_cast<uint64_t>(oldest_age_ms)};
}

// The part of a registry that takes logs in. Its clock stands still.
struct Registry {
  explicit Registry(size_t queue_max = limits::kIngestQueueMax) {
    auto opened = audit::DayFiles::open(folder.path() / "audit", {.wall_ms = [] { return kNow; }});
    REQUIRE(opened);
    store = *std::move(opened);
    open_fleet();
    writer = std::make_unique<audit::LogWriter>(
        *store, audit::LogWriterOptions{.clock = [this] { return now(); }, .queue_max = queue_max});
    REQUIRE(writer->start());
    intake.emplace(*writer, *fleet, [this] { return now(); });
  }
  void open_fleet(size_t nodes_max = 100) {
    fleet.reset();
    auto opened = fleet::Fleet::open(folder.path() / "fleet.db", {.nodes = nodes_max});
    REQUIRE(opened);
    fleet = *std::move(opened);
  }
  Now now() const { return {at_ms, at_ms}; }

  static serve::PeerPtr peer(const samples::NodeLog& log) {
    return std::make_shared<serve::Peer>(
        serve::Peer{session::Identity::parse(log.node).value(), log.node, {}});
  }
  wire::LogGrant answer(asio::awaitable<wire::LogGrant> asked) {
    asio::io_context context;
    auto grant = asio::co_spawn(context, std::move(asked), asio::use_future);
    context.run();
    return grant.get();
  }
  wire::LogGrant offer(const samples::NodeLog& log, TimeMs oldest_age_ms) {
    REQUIRE(fleet->node_seen(log.node, "test", true, at_ms));
    wire::LogGrant grant = answer(intake->offered(peer(log), offer_of(log, oldest_age_ms)));
    if (!grant.announce) return grant;
    return answer(intake->announced(peer(log), log.id, log.announcement()));
  }
  wire::LogGrant send(const samples::NodeLog& log, const record::Segment& segment,
                      TimeMs oldest_age_ms) {
    return answer(intake->arrived(peer(log),
                                  {.head = segment.head,
                                   .size = segment.body.size(),
                                   .stream = 0,
                                   .subtrees = {},
                                   .oldest_age_ms = static_cast<uint64_t>(oldest_age_ms)},
                                  segment.body));
  }
  void depart(const samples::NodeLog& log) {
    REQUIRE(fleet->node_seen(log.node, "", false, at_ms));
  }
  std::optional<TimeMs> since_ms(const samples::NodeLog& log) {
    const auto page = fleet->list("", 100);
    REQUIRE(page);
    for (const wire::NodeRow& row : page->nodes)
      if (row.identity == log.node) return row.lag_since_ms;
    return std::nullopt;
  }

  TemporaryFolder folder;
  TimeMs at_ms = kNow;
  std::unique_ptr<audit::DayFiles> store;
  std::unique_ptr<fleet::Fleet> fleet;
  std::unique_ptr<audit::LogWriter> writer;
  std::optional<service::RegistryLogIntake> intake;
};

TEST_CASE("a node without anything to send has no lag, however long it is silent") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  REQUIRE(registry.fleet->node_seen(log.node, "test", true, kNow));
  CHECK_FALSE(registry.since_ms(log));  // it ships none
  registry.offer(log, 0);
  CHECK(registry.since_ms(log) == 0);
  const auto segment = log.next(10);
  CHECK(registry.send(log, segment, 0).next == 10);
  CHECK(registry.since_ms(log) == 0);
  registry.at_ms += 100 * kHour;
  CHECK(registry.fleet->log_lag_since_ms() == 0);
  // It did not hear of the acknowledgement, and says that it has 10 records which wait.
  CHECK(registry.offer(log, 100 * kHour).next == 10);
  CHECK(registry.since_ms(log) == 0);
}

TEST_CASE("what a node has is missing from the node's word on until it is stored") {
  Registry registry;
  samples::NodeLog log("edge-1", 1), other("edge-2", 2);
  const auto first = log.next(10), second = log.next(10), third = log.next(10);
  registry.offer(log, 2 * kHour);
  CHECK(registry.since_ms(log) == kNow - 2 * kHour);
  registry.at_ms += 60'000;
  registry.send(log, first, kHour);  // "what follows has waited for an hour"
  CHECK(registry.since_ms(log) == registry.at_ms - kHour);
  const auto more = other.next(10);
  registry.offer(other, kHour / 2);
  CHECK(registry.since_ms(other) == registry.at_ms - kHour / 2);
  CHECK(registry.fleet->log_lag_since_ms() == registry.at_ms - kHour);
  registry.send(log, second, kHour);
  registry.send(log, third, 0);
  CHECK(registry.since_ms(log) == 0);
  CHECK(registry.fleet->log_lag_since_ms() == registry.at_ms - kHour / 2);
  registry.send(other, more, 0);
  CHECK(registry.fleet->log_lag_since_ms() == 0);
}

TEST_CASE("what is refused or turned away is missing") {
  SUBCASE("no room") {
    Registry registry(/*queue_max=*/0);
    samples::NodeLog log("edge-1", 1);
    registry.offer(log, 0);
    const auto segment = log.next(10);
    CHECK(registry.send(log, segment, 0).window_bytes == 0);
    CHECK(registry.since_ms(log) == kNow);
  }
  SUBCASE("records before it never came") {
    Registry registry;
    samples::NodeLog log("edge-1", 1), later("edge-1", 1);
    registry.offer(log, 0);
    registry.send(log, log.next(10), 0);
    (void)later.next(20);
    const auto further = later.next(5);
    registry.at_ms += kHour;
    CHECK(registry.offer(later, 60'000).code == 0);
    CHECK(registry.send(later, further, 0).code != 0);
    CHECK(registry.since_ms(log) == registry.at_ms - 60'000);
  }
  SUBCASE("the registry has less than it had") {
    Registry registry;
    samples::NodeLog log("edge-1", 1);
    (void)log.next(10);
    registry.offer(log, 0);
    CHECK(registry.since_ms(log) == kNow);
  }
}

TEST_CASE("of a node that is away the last word holds, also in another process") {
  Registry registry;
  samples::NodeLog late("edge-1", 1), done("edge-2", 2), moved("edge-3", 3);
  (void)late.next(10);
  const auto first = moved.next(10);
  (void)moved.next(10);
  registry.offer(late, 2 * kHour);
  registry.offer(done, 0);
  registry.offer(moved, 4 * kHour);
  registry.send(moved, first, 3 * kHour);
  for (const auto* log : {&late, &done, &moved}) registry.depart(*log);
  registry.open_fleet();
  CHECK(registry.since_ms(late) == kNow - 2 * kHour);
  CHECK(registry.since_ms(done) == 0);
  CHECK(registry.since_ms(moved) == kNow - 3 * kHour);
  CHECK(registry.fleet->log_lag_since_ms() == kNow - 3 * kHour);
  // A node that is forgotten is not late.
  registry.open_fleet(/*nodes_max=*/1);
  REQUIRE(registry.fleet->node_seen(samples::node_id("edge-9"), "test", true, kNow));
  REQUIRE(registry.fleet->flush());
  CHECK(registry.fleet->log_lag_since_ms() == 0);
}

TEST_CASE("the metric is the age of the oldest record that is missing of any node") {
  MetricsRegistry metrics;
  TimeMs since_ms = 0;
  audit::add_lag_metric(metrics, [&] { return since_ms; });
  CHECK(metrics.text().contains("\nnotp_audit_lag_seconds_max 0\n"));
  since_ms = read_clock().wall_ms - kHour;
  const std::string text = metrics.text();
  const std::string name = "\nnotp_audit_lag_seconds_max ";
  const size_t at = text.find(name);
  REQUIRE(at != std::string::npos);
  const int seconds = std::stoi(text.substr(at + name.size()));
  CHECK(seconds >= 3'600);
  CHECK(seconds < 3'700);
  since_ms = read_clock().wall_ms + kHour;  // the clock was set back
  CHECK(metrics.text().contains("\nnotp_audit_lag_seconds_max 0\n"));
}

TEST_CASE("a segment that has arrived is missing until it is stored, and those behind it") {
  fleet::LogLags lags;
  lags.arrived("a", 100);
  lags.arrived("a", 150);
  CHECK(lags.since_ms("a") == 100);
  lags.stored("a", 100, 0);  // it was sent before there was another one
  CHECK(lags.since_ms("a") == 150);
  lags.stored("a", 150, 0);
  CHECK(lags.since_ms("a") == 0);
  // Steady shipping writes nothing to the database.
  lags.offered("b", 0, 100);
  CHECK(lags.is_to_be_written("b", /*has_departed=*/false));
  lags.written("b");
  for (TimeMs at_ms = 200; at_ms < 210; ++at_ms) {
    lags.arrived("b", at_ms);
    CHECK_FALSE(lags.is_to_be_written("b", /*has_departed=*/false));
    lags.stored("b", at_ms, 0);
    CHECK_FALSE(lags.is_to_be_written("b", /*has_departed=*/true));
  }
  lags.not_stored("b", 300);
  CHECK(lags.is_to_be_written("b", /*has_departed=*/false));
}

}  // namespace
}  // namespace notp
