// What a registry grants, stores and refuses of the logs that nodes ship.
#include <doctest/doctest.h>

#include <future>
#include <map>

#include "common/limits.hpp"
#include "notp-server/audit/catch_up.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/ingest.hpp"
#include "notp-server/audit/log_writer.hpp"
#include "tests/support/registry/node_logs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::audit {
namespace {

constexpr TimeMs kNow = 1'764'374'400'000;

// A store whose appends can fail.
class FailingStore final : public AuditStore {
 public:
  explicit FailingStore(AuditStore& store) : store_(store) {}
  std::atomic<int> failures = 0;  // of the next appends
  std::atomic<int> failed = 0;
  std::function<void()> before_append = [] {};

  Result<void> append(const std::vector<StoredSegment>& segments) override {
    before_append();
    if (failures > 0) {
      --failures;
      ++failed;
      return fail(ErrorCode::kIo, "the disk is full");
    }
    return store_.append(segments);
  }
  Result<void> put_log(const StoredLog& log) override { return store_.put_log(log); }
  Result<void> put_fault(const StoredFault& fault) override { return store_.put_fault(fault); }
  Result<std::vector<StoredLog>> logs(const std::optional<record::LogId>& after,
                                      size_t max) const override {
    return store_.logs(after, max);
  }
  Result<std::vector<StoredFault>> faults(const record::LogId& log) const override {
    return store_.faults(log);
  }
  Result<void> list(const Range& range, const Visit& visit) const override {
    return store_.list(range, visit);
  }
  Result<StoredSegment> read(uint64_t key) const override { return store_.read(key); }
  Result<StoredSegment> find(const record::LogId& log, record::Position position) const override {
    return store_.find(log, position);
  }
  std::vector<record::LogId> logs_by_prefix(ByteView prefix) const override {
    return store_.logs_by_prefix(prefix);
  }
  Result<void> redact(const std::vector<Removal>& removals) override {
    return store_.redact(removals);
  }
  std::vector<StoreDamage> damages() const override { return store_.damages(); }

 private:
  AuditStore& store_;
};

struct Registry {
  TemporaryFolder folder;
  std::unique_ptr<DayFiles> store;
  IntakeCounters counters;
  std::map<FaultKind, int> faults;
  std::optional<LogIngest> ingest;

  Registry() {
    counters.on_fault = [this](FaultKind kind) { ++faults[kind]; };
    start();
  }
  void start() {
    ingest.reset();
    store.reset();
    auto opened = DayFiles::open(folder.path() / "audit", {.wall_ms = [] { return kNow; }});
    REQUIRE(opened);
    store = *std::move(opened);
    ingest.emplace(*store, counters);
    REQUIRE(ingest->load());
  }
  void announce(const samples::NodeLog& log) {
    const auto grant = ingest->announced(log.node, log.id, log.announcement(), kNow);
    REQUIRE(grant);
    REQUIRE_MESSAGE(grant->code == 0, grant->message);
  }
  // Stores what is to be stored, and returns the grant.
  wire::LogGrant ship(const std::string& node, const record::Segment& segment) {
    auto decision = ingest->arrived(node, segment, kNow);
    if (decision.store) REQUIRE(store->append({*std::move(decision.store)}));
    return decision.grant;
  }
  std::vector<StoredFault> faults_of(const samples::NodeLog& log) const {
    return *store->faults(log.id);
  }
};

ErrorCode code_of(const wire::LogGrant& grant) {
  return grant.code == 0 ? ErrorCode{} : error_code_from_wire(grant.code);
}

wire::LogOffer offer_of(const samples::NodeLog& log) {
  return {log.id, log.tree.size(), log.tree.root()};
}

TEST_CASE("a log is offered, announced and shipped, and goes on after a restart") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  const auto first = log.next(100), second = log.next(50);
  auto grant = registry.ingest->offered(log.node, offer_of(log), kNow);
  CHECK(grant.code == 0);
  CHECK(grant.announce);
  CHECK(grant.next == 0);
  registry.announce(log);
  CHECK_FALSE(registry.ingest->offered(log.node, offer_of(log), kNow).announce);
  grant = registry.ship(log.node, first);
  CHECK(grant.code == 0);
  CHECK(grant.next == 100);
  CHECK(grant.window_bytes == limits::kLogWindowBytes);
  registry.start();
  grant = registry.ingest->offered(log.node, offer_of(log), kNow);
  CHECK(grant.next == 100);
  CHECK_FALSE(grant.announce);
  CHECK(registry.ship(log.node, second).next == 150);
  CHECK(registry.store->logs({}, 9)->front().tree == log.tree);
  CHECK(registry.store->find(log.id, 120)->segment == second);
  CHECK(registry.faults.empty());
}

TEST_CASE("a segment that comes again is acknowledged again, and stored once") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  const auto first = log.next(10), second = log.next(10);
  for (const auto& segment : {first, second, first, second}) {
    const auto grant = registry.ship(log.node, segment);
    CHECK(grant.code == 0);
  }
  CHECK(registry.ship(log.node, first).next == 20);
  CHECK(registry.ship(log.node, samples::NodeLog::without_body(first)).next == 20);
  size_t rows = 0;
  REQUIRE(registry.store->list(
      {}, [&](const SegmentRow&, const SegmentIndex&) { return ++rows, true; }));
  CHECK(rows == 2);
  CHECK(registry.faults_of(log).empty());
}

TEST_CASE("a segment whose body the node dropped keeps its place") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  registry.ship(log.node, log.next(10));
  CHECK(registry.ship(log.node, samples::NodeLog::without_body(log.next(10))).next == 20);
  CHECK(registry.ship(log.node, log.next(10)).next == 30);
  CHECK(registry.store->logs({}, 9)->front().pruned == 10);
}

TEST_CASE("two segments at one place are a fork, which is kept and said once") {
  Registry registry;
  samples::NodeLog log("edge-1", 1), changed("edge-1", 1);
  registry.announce(log);
  registry.ship(log.node, log.next(10));
  registry.ship(log.node, log.next(10));
  changed.next(10);
  record::Segment other;
  SUBCASE("other records") {
    std::vector<record::Record> made;
    for (int i = 0; i < 10; ++i) {
      record::Record record = changed.decision_record(samples::decision(99, 0));
      record.place.position = 10 + static_cast<uint64_t>(i);
      made.push_back(std::move(record));
    }
    other = changed.seal(std::move(made));
  }
  SUBCASE("another cut") { other = changed.next(5); }
  for (int twice = 0; twice < 2; ++twice) {
    const auto grant = registry.ship(log.node, other);
    CHECK(code_of(grant) == ErrorCode::kLogFork);
    CHECK(grant.next == 20);
    CHECK(grant.window_bytes == 0);
  }
  const auto faults = registry.faults_of(log);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].code == ErrorCode::kLogFork);
  CHECK(faults[0].position == 10);
  CHECK(faults[0].checkpoint == other.head.checkpoint);
  CHECK(registry.faults[FaultKind::kFork] == 2);
}

TEST_CASE("a fork is not believed without the log's signature") {
  Registry registry;
  samples::NodeLog log("edge-1", 1), stranger("edge-1", 2);
  registry.announce(log);
  registry.ship(log.node, log.next(10));
  record::Segment forged = stranger.next(10);
  forged.head.log = log.id;
  CHECK(code_of(registry.ship(log.node, forged)) == ErrorCode::kSignature);
}

TEST_CASE("an offer that contradicts what is stored is a fork") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  std::vector<Hash> roots;
  for (int i = 0; i < 3; ++i) {
    registry.ship(log.node, log.next(10));
    roots.push_back(log.tree.root());
  }
  const auto code = [&](uint64_t size, const Hash& root) {
    return code_of(registry.ingest->offered(log.node, {log.id, size, root}, kNow));
  };
  CHECK(code(30, roots[2]) == ErrorCode{});
  CHECK(code(20, roots[1]) == ErrorCode{});
  CHECK(code(0, Hash{}) == ErrorCode{});
  CHECK(code(40, sha256("what is not here yet")) == ErrorCode{});
  CHECK(code(30, roots[1]) == ErrorCode::kLogFork);
  CHECK(code(20, roots[0]) == ErrorCode::kLogFork);
  CHECK(registry.faults_of(log).size() == 2);
}

TEST_CASE("a segment that leaves records out is a gap, until they come") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  registry.ship(log.node, log.next(10));
  const auto between = log.next(10), after = log.next(10);
  const auto grant = registry.ship(log.node, after);
  CHECK(code_of(grant) == ErrorCode::kLogGap);
  CHECK(grant.next == 10);
  REQUIRE(registry.faults_of(log).size() == 1);
  CHECK(registry.faults_of(log)[0].code == ErrorCode::kLogGap);
  CHECK(registry.ship(log.node, samples::NodeLog::without_body(between)).next == 20);
  CHECK(registry.ship(log.node, after).next == 30);
}

TEST_CASE("what was turned away for want of room makes no gap") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  const auto first = log.next(10), second = log.next(10);
  auto grant = registry.ingest->turn_away(log.id);
  CHECK(grant.window_bytes == 0);
  CHECK(grant.code == 0);
  grant = registry.ship(log.node, second);
  CHECK(grant.code == 0);
  CHECK(grant.window_bytes == 0);
  CHECK(grant.next == 0);
  CHECK(registry.ingest->offered(log.node, offer_of(log), kNow).window_bytes != 0);
  CHECK(registry.ship(log.node, first).next == 10);
  CHECK(registry.ship(log.node, second).next == 20);
}

TEST_CASE("a log belongs to the node that announced it") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  const auto segment = log.next(10);
  const std::string other = samples::node_id("edge-2");
  CHECK(code_of(registry.ingest->offered(other, offer_of(log), kNow)) == ErrorCode::kDenied);
  CHECK(code_of(registry.ship(other, segment)) == ErrorCode::kDenied);
  CHECK(code_of(*registry.ingest->announced(
            other, log.id, samples::NodeLog::announcement_of(other, log.log_key), kNow)) ==
        ErrorCode::kDenied);
  CHECK(registry.ship(log.node, segment).next == 10);
  CHECK(registry.faults[FaultKind::kForeign] == 3);
}

TEST_CASE("a bad announcement is refused") {
  Registry registry;
  samples::NodeLog log("edge-1", 1), other("edge-1", 2);
  const auto code = [&](const record::LogId& id, const Bytes& announcement) {
    return code_of(*registry.ingest->announced(log.node, id, announcement, kNow));
  };
  CHECK(code(log.id, "nonsense") == ErrorCode::kMessage);
  CHECK(code(log.id, other.announcement()) == ErrorCode::kMessage);
  CHECK(code(log.id, samples::NodeLog::announcement_of(samples::node_id("edge-2"), log.log_key)) ==
        ErrorCode::kDenied);
  Bytes changed = log.announcement();
  changed[changed.size() - 1] = static_cast<char>(changed.back() ^ 1);
  CHECK(code(log.id, changed) == ErrorCode::kSignature);
  CHECK(code_of(registry.ship(log.node, log.next(1))) == ErrorCode::kState);
  CHECK(registry.store->logs({}, 9)->empty());
}

TEST_CASE("a node has so many logs, and no more") {
  Registry registry;
  for (uint8_t i = 0; i < limits::kLogsPerNodeMax; ++i)
    registry.announce(samples::NodeLog("edge-1", i));
  const samples::NodeLog one_more("edge-1", 200), other("edge-2", 201);
  CHECK(code_of(registry.ingest->offered(one_more.node, offer_of(one_more), kNow)) ==
        ErrorCode::kDenied);
  CHECK(code_of(*registry.ingest->announced(one_more.node, one_more.id, one_more.announcement(),
                                            kNow)) == ErrorCode::kDenied);
  registry.start();
  CHECK(code_of(registry.ingest->offered(one_more.node, offer_of(one_more), kNow)) ==
        ErrorCode::kDenied);
  CHECK(registry.ingest->offered(other.node, offer_of(other), kNow).code == 0);
}

TEST_CASE("hostile segments are refused, kept as faults, and leave the log as it was") {
  Registry registry;
  samples::NodeLog log("edge-1", 1);
  registry.announce(log);
  registry.ship(log.node, log.next(10));
  const record::Frontier before = log.tree;
  const record::Segment good = log.next(10);
  const auto refused = [&](const auto& change) {
    record::Segment segment = good;
    change(segment);
    const auto grant = registry.ship(log.node, segment);
    CHECK(grant.code != 0);
    CHECK(grant.next == 10);
    CHECK(registry.ingest->next_of(log.id) == 10);
    return code_of(grant);
  };
  refused([](auto& s) { s.head.count = 0; });
  refused([](auto& s) { s.head.count = 9; });
  refused([](auto& s) { s.head.count = 100'000; });
  refused([](auto& s) { s.head.content_bytes = 1ULL << 40; });
  refused([](auto& s) { s.head.content_bytes += 1; });
  refused([](auto& s) { s.head.secret.pop_back(); });
  refused([](auto& s) { s.head.checkpoint.clear(); });
  refused([](auto& s) { s.body.resize(s.body.size() / 2); });
  refused([](auto& s) { s.body = "not zstd"; });
  refused([](auto& s) { s.body.clear(); });
  CHECK(refused([](auto& s) { s.head.secret[0] ^= 1; }) == ErrorCode::kLogFork);
  // Records that are not records, signed all the same.
  samples::NodeLog liar("edge-1", 1);
  liar.next(10);
  {
    record::SegmentBuilder builder(10, Bytes(32, 's'));
    record::Frontier tree = liar.tree;
    builder.add("not a record", tree);
    const auto segment =
        std::move(builder).seal(log.id, tree, record::log_origin(log.node, log.id), log.key);
    CHECK(code_of(registry.ship(log.node, *segment)) == ErrorCode::kMessage);
  }
  {
    record::SegmentBuilder builder(10, Bytes(32, 's'));
    record::Frontier tree = liar.tree;
    record::Record elsewhere = liar.decision_record({});
    elsewhere.place.position = 11;
    builder.add(record::encode(elsewhere), tree);
    const auto segment =
        std::move(builder).seal(log.id, tree, record::log_origin(log.node, log.id), log.key);
    CHECK(code_of(registry.ship(log.node, *segment)) == ErrorCode::kMessage);
  }
  {
    record::SegmentBuilder builder(10, Bytes(32, 's'));
    record::Frontier tree = liar.tree;
    record::Record record = liar.decision_record({});
    builder.add(record::encode(record), tree);
    const auto segment = std::move(builder).seal(
        log.id, tree, record::log_origin(samples::node_id("edge-2"), log.id), log.key);
    CHECK(code_of(registry.ship(log.node, *segment)) == ErrorCode::kMessage);
  }
  CHECK(!registry.faults_of(log).empty());
  CHECK(registry.faults[FaultKind::kInvalid] > 5);
  CHECK(registry.ship(log.node, good).next == 20);
  CHECK(before.size() == 10);
}

TEST_CASE("places for catching up are given, kept, and taken from who is silent") {
  CatchUp places(2);
  const auto id = [](uint8_t n) {
    record::LogId out;
    out.bytes[0] = n;
    return out;
  };
  CHECK(places.admit(id(1), 100, 0));
  CHECK(places.admit(id(2), 100, 0));
  CHECK_FALSE(places.admit(id(3), 100, 0));
  CHECK(places.admit(id(1), 200, 0));
  places.progress(id(2), 50, 9'000);
  CHECK(places.free() == 0);
  places.expire(10'000);  // 1 has delivered nothing
  CHECK(places.free() == 1);
  CHECK(places.admit(id(3), 100, 10'000));
  places.progress(id(2), 100, 11'000);
  places.drop(id(3));
  CHECK(places.free() == 2);
}

// --- the writer's thread

struct Writer {
  Registry registry;
  FailingStore store{*registry.store};
  std::optional<LogWriter> writer;

  explicit Writer(LogWriterOptions options = {}) {
    options.retry_ms = 1;
    writer.emplace(store, std::move(options));
  }
  static LogWriter::Done done_of(std::promise<wire::LogGrant>& promise) {
    return [&promise](wire::LogGrant grant) { promise.set_value(std::move(grant)); };
  }
  std::future<wire::LogGrant> arrived(const std::string& node, record::Segment segment) {
    auto promise = std::make_shared<std::promise<wire::LogGrant>>();
    writer->arrived(node, std::move(segment),
                    [promise](wire::LogGrant grant) { promise->set_value(std::move(grant)); });
    return promise->get_future();
  }
  std::future<wire::LogGrant> offered(const samples::NodeLog& log) {
    auto promise = std::make_shared<std::promise<wire::LogGrant>>();
    writer->offered(log.node, offer_of(log),
                    [promise](wire::LogGrant grant) { promise->set_value(std::move(grant)); });
    return promise->get_future();
  }
  std::future<wire::LogGrant> announced(const samples::NodeLog& log) {
    auto promise = std::make_shared<std::promise<wire::LogGrant>>();
    writer->announced(log.node, log.id, log.announcement(),
                      [promise](wire::LogGrant grant) { promise->set_value(std::move(grant)); });
    return promise->get_future();
  }
};

TEST_CASE("the writer answers after the commit, and commits many nodes at once") {
  Writer site;
  std::vector<std::unique_ptr<samples::NodeLog>> logs;
  REQUIRE(site.writer->start());
  for (uint8_t i = 0; i < 8; ++i) {
    logs.push_back(
        std::make_unique<samples::NodeLog>(fmt::format("edge-{}", i), static_cast<uint8_t>(i + 1)));
    CHECK(site.announced(*logs.back()).get().code == 0);
  }
  std::vector<std::future<wire::LogGrant>> answers;
  for (int round = 0; round < 5; ++round)
    for (auto& log : logs) answers.push_back(site.arrived(log->node, log->next(20)));
  for (auto& answer : answers) CHECK(answer.get().code == 0);
  for (const auto& log : logs) {
    CHECK(site.store.find(log->id, 99));
    CHECK(site.offered(*log).get().next == 100);
  }
  CHECK(site.writer->counters().records == 800);
  CHECK(site.writer->counters().segments == 40);
}

TEST_CASE("a commit that fails is repeated, and nothing is acknowledged before") {
  std::atomic<int> not_stored = 0;
  Writer site({.on_fault = [&](FaultKind kind) { not_stored += kind == FaultKind::kNotStored; }});
  samples::NodeLog log("edge-1", 1);
  REQUIRE(site.writer->start());
  CHECK(site.announced(log).get().code == 0);
  site.store.failures = 5;
  const auto grant = site.arrived(log.node, log.next(10)).get();
  CHECK(grant.next == 10);
  CHECK(site.store.failed == 5);
  CHECK(not_stored == 5);
}

TEST_CASE("a stop answers everything, and acknowledges nothing that is not stored") {
  Writer site;
  samples::NodeLog log("edge-1", 1);
  REQUIRE(site.writer->start());
  CHECK(site.announced(log).get().code == 0);
  std::promise<void> appending;
  std::atomic<bool> is_told = false;
  site.store.before_append = [&] {
    if (!is_told.exchange(true)) appending.set_value();
  };
  site.store.failures = 1'000'000'000;
  auto first = site.arrived(log.node, log.next(10));
  appending.get_future().wait();
  auto second = site.arrived(log.node, log.next(10));
  site.writer->stop();
  for (auto* answer : {&first, &second}) {
    const auto grant = answer->get();
    CHECK(grant.next == 0);
    CHECK(grant.window_bytes == 0);
  }
  CHECK(site.arrived(log.node, log.next(10)).get().window_bytes == 0);
}

TEST_CASE("a full queue turns segments away") {
  Writer site({.queue_max = 1});
  samples::NodeLog log("edge-1", 1);
  REQUIRE(site.writer->start());
  CHECK(site.announced(log).get().code == 0);
  std::promise<void> appending, may_append;
  std::atomic<bool> is_first = true;
  auto gate = may_append.get_future();
  site.store.before_append = [&] {
    if (!is_first.exchange(false)) return;
    appending.set_value();
    gate.wait();
  };
  auto first = site.arrived(log.node, log.next(10));
  appending.get_future().wait();
  auto second = site.arrived(log.node, log.next(10));
  auto third = site.arrived(log.node, log.next(10));
  may_append.set_value();
  CHECK(first.get().next == 10);
  CHECK(second.get().next == 20);
  const auto away = third.get();
  CHECK(away.code == 0);
  CHECK(away.window_bytes == 0);
  CHECK(away.next <= 20);
}

TEST_CASE("a node that is behind waits for its grant until it has a place") {
  Writer site({.catching_up_max = 1});
  samples::NodeLog one("edge-1", 1), two("edge-2", 2);
  REQUIRE(site.writer->start());
  CHECK(site.announced(one).get().code == 0);
  CHECK(site.announced(two).get().code == 0);
  const auto first = one.next(10), last = one.next(10);
  two.next(10);
  CHECK(site.offered(one).get().next == 0);
  auto waiting = site.offered(two);
  CHECK(site.arrived(one.node, first).get().next == 10);
  CHECK(waiting.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  CHECK(site.arrived(one.node, last).get().next == 20);
  CHECK(waiting.get().window_bytes == limits::kLogWindowBytes);
}

}  // namespace
}  // namespace notp::audit
