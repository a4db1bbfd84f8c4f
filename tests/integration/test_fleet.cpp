#include <doctest/doctest.h>
#include <fmt/format.h>

#include <thread>

#include "common/limits.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using wire::CommitState;

const model::LedgerId kPayments{273165098782, "payments"};

std::unique_ptr<fleet::Fleet> open(const TemporaryFolder& folder) {
  auto fleet = fleet::Fleet::open(folder.path() / "fleet.db");
  REQUIRE_MESSAGE(fleet.has_value(), (fleet ? "" : fleet.error().message));
  return *std::move(fleet);
}

std::string node(int number) {
  return fmt::format("spiffe://core-platform.internal/node/edge-{:05}", number);
}

wire::Commit commit(uint64_t version, CommitState state,
                    const model::LedgerId& ledger = kPayments) {
  wire::Commit out{ledger, version, state, 0, "", sha256("content")};
  if (state == CommitState::kRejected) {
    out.code = static_cast<uint32_t>(ErrorCode::kPdpRejected);
    out.message = "rules.rego:3: unsafe variable";
  }
  return out;
}

wire::NodeLedger ledger_of(fleet::Fleet& fleet, const std::string& identity) {
  const auto page = fleet.list("", 10);
  REQUIRE(page.has_value());
  for (const wire::NodeRow& row : page->nodes)
    if (row.identity == identity && !row.ledgers.empty()) return row.ledgers.front();
  FAIL("no such node");
  return {};
}

TEST_CASE("a node's last word is listed with the version that is active") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  // Each step once merged in memory, once with the database.
  for (const bool flushed : {false, true}) {
    CAPTURE(flushed);
    const std::string who = node(flushed ? 2 : 1);
    const auto step = [&](const wire::Commit& said, TimeMs now_ms) {
      REQUIRE(fleet->report(who, said, now_ms).has_value());
      if (flushed) REQUIRE(fleet->flush().has_value());
    };
    REQUIRE(fleet->node_seen(who, "notp-client/0.1", true, 900).has_value());
    step(commit(7, CommitState::kStored), 1000);
    step(commit(7, CommitState::kActive), 1100);
    step(commit(8, CommitState::kRejected), 1200);
    step(commit(8, CommitState::kRejected), 1300);
    const wire::NodeLedger rejected = ledger_of(*fleet, who);
    CHECK(rejected.version == 8);
    CHECK(rejected.state == CommitState::kRejected);
    CHECK(rejected.active_version == 7);
    CHECK(rejected.code == static_cast<uint32_t>(ErrorCode::kPdpRejected));
    CHECK(rejected.message == "rules.rego:3: unsafe variable");
    CHECK(rejected.since_ms == 1200);
    step(commit(9, CommitState::kActive), 1400);
    const wire::NodeLedger active = ledger_of(*fleet, who);
    CHECK(active.version == 9);
    CHECK(active.state == CommitState::kActive);
    CHECK(active.active_version == 9);
    CHECK(active.code == 0);
    CHECK(active.message == "");
    CHECK(active.since_ms == 1400);
    CHECK(active.head_version == 0);
  }
}

TEST_CASE("what was reported survives a restart, and nobody is connected after it") {
  const TemporaryFolder folder;
  {
    const auto fleet = open(folder);
    REQUIRE(fleet->node_seen(node(1), "notp-client/0.1", true, 1000).has_value());
    REQUIRE(fleet->report(node(1), commit(3, CommitState::kActive), 1001).has_value());
  }
  const auto fleet = open(folder);
  const auto page = fleet->list("", 10);
  REQUIRE(page->nodes.size() == 1);
  CHECK(page->nodes[0].user_agent == "notp-client/0.1");
  CHECK_FALSE(page->nodes[0].connected);
  CHECK(page->nodes[0].seen_ms == 1001);
  REQUIRE(page->nodes[0].ledgers.size() == 1);
  CHECK(page->nodes[0].ledgers[0].active_version == 3);
  // A report does not contain facts of the connection or the agent.
  REQUIRE(fleet->report(node(1), commit(4, CommitState::kStored), 1002).has_value());
  const auto later = fleet->list("", 10);
  CHECK(later->nodes[0].user_agent == "notp-client/0.1");
  CHECK_FALSE(later->nodes[0].connected);
  CHECK(later->nodes[0].ledgers[0].version == 4);
  CHECK(later->nodes[0].ledgers[0].active_version == 3);
}

TEST_CASE("a copy that is made while it runs has all that was reported before, and is private") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  REQUIRE(fleet->node_seen(node(1), "notp-client/0.1", true, 1000).has_value());
  REQUIRE(fleet->report(node(1), commit(3, CommitState::kActive), 1001).has_value());
  const auto file = folder.path() / "copies.db";
  REQUIRE(fleet->copy_to(file).has_value());
  REQUIRE(fleet->report(node(1), commit(4, CommitState::kActive), 1002).has_value());
  {
    const auto copy = fleet::Fleet::open(file);
    REQUIRE(copy.has_value());
    CHECK(ledger_of(**copy, node(1)).active_version == 3);
  }
  // The next copy replaces it.
  REQUIRE(fleet->copy_to(file).has_value());
  CHECK(std::filesystem::status(file).permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  const auto copy = fleet::Fleet::open(file);
  REQUIRE(copy.has_value());
  CHECK(ledger_of(**copy, node(1)).active_version == 4);
  // A failed copy loses nothing.
  CHECK_FALSE(fleet->copy_to(folder.path() / "missing" / "copy.db").has_value());
  CHECK(ledger_of(*fleet, node(1)).active_version == 4);
}

TEST_CASE("ten thousand nodes report at once and are listed in pages") {
  constexpr int kNodes = 10'000;
  constexpr int kThreads = 4;
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = t; i < kNodes; i += kThreads) {
        const auto seen = fleet->node_seen(node(i), "notp-client/0.1", true, 1000 + i);
        const auto said = fleet->report(node(i), commit(5, CommitState::kActive), 2000 + i);
        if (!seen || !said) FAIL_CHECK("a report was refused");
      }
    });
  for (std::thread& thread : threads) thread.join();
  int listed = 0;
  std::string after;
  for (bool more = true; more;) {
    const auto page = fleet->list(after, 5000);
    REQUIRE(page.has_value());
    CHECK(page->nodes.size() <= limits::kQueryRowsMax);
    for (const wire::NodeRow& row : page->nodes) {
      REQUIRE(row.identity == node(listed));
      REQUIRE(row.seen_ms == 2000 + listed);
      REQUIRE(row.ledgers.size() == 1);
      ++listed;
    }
    more = page->more;
    after = page->nodes.back().identity;
  }
  CHECK(listed == kNodes);
}

trust::Freshness statement(uint64_t version, TimeMs issued_ms) {
  trust::Freshness out;
  out.issued_ms = issued_ms;
  out.heads = {{kPayments, 1, version, sha256("release"), {}}};
  return out;
}

TEST_CASE("a node's release is vouched for by the statements that name it, and by no other") {
  const TemporaryFolder folder;
  {
    const auto fleet = open(folder);
    REQUIRE(fleet->node_seen(node(1), "notp-client/0.1", true, 1000).has_value());
    fleet->attested(node(1), statement(11, 1001));
    auto active = commit(11, CommitState::kActive);
    active.freshness = trust::FreshnessState::kFresh;
    REQUIRE(fleet->report(node(1), active, 1002).has_value());
    CHECK(ledger_of(*fleet, node(1)).vouched_ms == 1001);
    CHECK(ledger_of(*fleet, node(1)).freshness == trust::FreshnessState::kFresh);
    fleet->attested(node(1), statement(11, 2000));
    CHECK(ledger_of(*fleet, node(1)).vouched_ms == 2000);
    // Version 12 is the head now, and the node does not accept it: 11 ages.
    fleet->attested(node(1), statement(12, 3000));
    REQUIRE(fleet->report(node(1), commit(12, CommitState::kRejected), 3001).has_value());
    fleet->attested(node(1), statement(12, 4000));
    active.freshness = trust::FreshnessState::kStale;
    REQUIRE(fleet->report(node(1), active, 4001).has_value());
    CHECK(ledger_of(*fleet, node(1)).vouched_ms == 2000);
    CHECK(ledger_of(*fleet, node(1)).freshness == trust::FreshnessState::kStale);
    // It accepts 13, after 13 was attested.
    fleet->attested(node(1), statement(13, 5000));
    REQUIRE(fleet->report(node(1), commit(13, CommitState::kActive), 5001).has_value());
    CHECK(ledger_of(*fleet, node(1)).vouched_ms == 5000);
    fleet->attested(node(1), statement(13, 6000));
    REQUIRE(fleet->node_seen(node(1), "", false, 6500).has_value());
    CHECK(ledger_of(*fleet, node(1)).vouched_ms == 6000);
  }
  CHECK(ledger_of(*open(folder), node(1)).vouched_ms == 6000);
}

TEST_CASE("a database of the first format is brought up, and one of a later format is refused") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "fleet.db";
  {
    const auto database = open_database(file);
    REQUIRE(database.has_value());
    (*database)->exec(R"(
CREATE TABLE nodes (
  identity TEXT PRIMARY KEY,
  agent TEXT NOT NULL,
  connected INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE node_ledgers (
  identity TEXT NOT NULL REFERENCES nodes (identity),
  zone INTEGER NOT NULL,
  ledger TEXT NOT NULL,
  version INTEGER NOT NULL,
  state INTEGER NOT NULL,
  active_version INTEGER NOT NULL,
  code INTEGER NOT NULL,
  message TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (identity, zone, ledger)
) STRICT, WITHOUT ROWID;
INSERT INTO nodes VALUES ('spiffe://core-platform.internal/node/edge-00001', 'old', 1, 900);
INSERT INTO node_ledgers VALUES
  ('spiffe://core-platform.internal/node/edge-00001', 273165098782, 'payments', 8, 3, 7, 50, 'why', 800);
PRAGMA user_version = 1;)");
  }
  {
    const auto fleet = open(folder);
    const wire::NodeLedger old = ledger_of(*fleet, node(1));
    CHECK(old.version == 8);
    CHECK(old.active_version == 7);
    CHECK(old.since_ms == 800);
    CHECK(old.freshness == trust::FreshnessState::kUntracked);
    CHECK(old.vouched_ms == 0);
    CHECK_FALSE(fleet->list("", 1)->nodes.at(0).lag_since_ms);
    fleet->attested(node(1), statement(7, 5000));
    REQUIRE(fleet->node_seen(node(1), "", false, 5001).has_value());
    REQUIRE(fleet->flush().has_value());
  }
  CHECK(ledger_of(*open(folder), node(1)).vouched_ms == 5000);
  (*open_database(file))->exec("PRAGMA user_version = 99");
  const auto later = fleet::Fleet::open(file);
  REQUIRE_FALSE(later.has_value());
  CHECK(later.error().message.find("format 99") != std::string::npos);
}

TEST_CASE("a node that makes up ledgers is stopped") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  Result<void> last;
  for (size_t i = 0; i <= 100 * limits::kLedgersPerSessionMax && last; ++i)
    last = fleet->report(
        node(1), commit(1, CommitState::kStored, {kPayments.zone, fmt::format("l{}", i)}), 1);
  REQUIRE_FALSE(last.has_value());
  CHECK(last.error().code == ErrorCode::kOverloaded);
}

model::LedgerId numbered(size_t number) { return {kPayments.zone, fmt::format("l{:04}", number)}; }

size_t ledgers_of(fleet::Fleet& fleet, const std::string& identity) {
  const auto page = fleet.list("", 10);
  REQUIRE(page.has_value());
  for (const wire::NodeRow& row : page->nodes)
    if (row.identity == identity) return row.ledgers.size();
  return 0;
}

TEST_CASE("of the ledgers of one node those that it reported on last are kept") {
  const TemporaryFolder folder;
  {
    const auto fleet = open(folder);
    // Session after session, each with other ledgers; the first one is in use all the time.
    for (size_t i = 0; i < 3 * fleet::Fleet::kLedgersPerNodeMax; ++i) {
      const auto now_ms = static_cast<TimeMs>(1000 + i);
      REQUIRE(fleet->report(node(1), commit(1, CommitState::kActive, numbered(i)), now_ms));
      REQUIRE(fleet->report(node(1), commit(1, CommitState::kActive), now_ms));
      REQUIRE(fleet->report(node(2), commit(1, CommitState::kActive), now_ms));
      if (i % 50 == 0) REQUIRE(fleet->flush());
    }
    const auto page = fleet->list("", 10);
    REQUIRE(page->nodes.size() == 2);
    CHECK(page->nodes[1].ledgers.size() == 1);
    const auto& held = page->nodes[0].ledgers;
    CHECK(held.size() == fleet::Fleet::kLedgersPerNodeMax);
    CHECK(held.front().ledger == numbered(2 * fleet::Fleet::kLedgersPerNodeMax + 1));
    CHECK(held.back().ledger == kPayments);
    CHECK(wire::try_encode_frame(wire::Response{.what = wire::NodesPage{page->nodes}}).has_value());
  }
}

TEST_CASE("a database that holds 66 ledgers of one node is brought within the bound") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "fleet.db";
  open(folder)->flush();
  {
    const auto database = open_database(file);
    (*database)->exec("DROP TABLE subscriptions");
    (*database)->exec("ALTER TABLE nodes DROP COLUMN lag_since_ms");
    (*database)->exec("ALTER TABLE node_ledgers DROP COLUMN released_version");
    (*database)->exec("ALTER TABLE node_ledgers DROP COLUMN reported_ms");
    (*database)->exec("PRAGMA user_version = 2");
    (*database)->exec("INSERT INTO nodes VALUES ('" + node(1) + "', 'old', 1, 900)");
    for (size_t i = 0; i < 66; ++i)
      (*database)->exec(
          fmt::format("INSERT INTO node_ledgers VALUES "
                      "('{}', {}, 'l{:04}', 1, 2, 1, 0, '', {}, 0, 0)",
                      node(1), kPayments.zone, i, 1000 + i));
  }
  const auto fleet = open(folder);
  const auto page = fleet->list("", 10);
  REQUIRE(page->nodes.size() == 1);
  CHECK(page->nodes[0].ledgers.size() == 64);
  CHECK(page->nodes[0].ledgers.front().ledger == numbered(2));
  CHECK(wire::try_encode_frame(wire::Response{.what = wire::NodesPage{page->nodes}}).has_value());
}

TEST_CASE("which node subscribes to two ledgers, by what it wanted last") {
  const TemporaryFolder folder;
  const model::LedgerId a = numbered(1), b = numbered(2), c = numbered(3);
  {
    const auto fleet = open(folder);
    REQUIRE(fleet->subscribed(node(1), {a, b}));
    REQUIRE(fleet->subscribed(node(2), {b, c}));
    CHECK(fleet->subscribed_together(a, b).value() == node(1));
    CHECK(fleet->subscribed_together(c, b).value() == node(2));
    CHECK(fleet->subscribed_together(a, c).value() == std::nullopt);
  }
  const auto fleet = open(folder);
  CHECK(fleet->subscribed_together(a, b).value() == node(1));
  REQUIRE(fleet->subscribed(node(1), {a}));
  CHECK(fleet->subscribed_together(a, b).value() == std::nullopt);
}

TEST_CASE("of too many nodes those without a session that were seen longest ago are forgotten") {
  const TemporaryFolder folder;
  const auto fleet = fleet::Fleet::open(folder.path() / "fleet.db", {.nodes = 3}).value();
  for (int i = 0; i < 6; ++i) {
    REQUIRE(fleet->node_seen(node(i), "agent", i == 0, 1000 + i));
    REQUIRE(fleet->report(node(i), commit(1, CommitState::kActive), 1000 + i));
    REQUIRE(fleet->flush());
  }
  const auto page = fleet->list("", 10);
  REQUIRE(page->nodes.size() == 3);
  CHECK(page->nodes[0].identity == node(0));  // it is connected
  CHECK(page->nodes[1].identity == node(4));
  CHECK(page->nodes[2].identity == node(5));
  CHECK(ledgers_of(*fleet, node(1)) == 0);
}

TEST_CASE(
    "a page of nodes is no longer than an answer can be, and the next one goes on behind it") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  auto talk = commit(1, CommitState::kRejected);
  talk.message = std::string(limits::kErrorTextBytesMax, 'm');
  constexpr int kNodes = 20;
  for (int i = 0; i < kNodes; ++i)
    for (size_t l = 0; l < fleet::Fleet::kLedgersPerNodeMax; ++l) {
      talk.ledger = numbered(l);
      REQUIRE(fleet->report(node(i), talk, 1000));
    }
  int listed = 0;
  size_t pages = 0;
  std::string after;
  for (bool more = true; more; ++pages) {
    const auto page = fleet->list(after, 1000);
    REQUIRE(page.has_value());
    REQUIRE_FALSE(page->nodes.empty());
    CHECK(page->nodes.size() <= 6);
    for (const wire::NodeRow& row : page->nodes) CHECK(row.identity == node(listed++));
    more = page->more;
    after = page->nodes.back().identity;
  }
  CHECK(listed == kNodes);
  CHECK(pages >= 4);
}

TEST_CASE("messages that wait for the disk are bounded over all nodes") {
  const TemporaryFolder folder;
  const auto fleet = fleet::Fleet::open(folder.path() / "fleet.db",
                                        {.pending_bytes = 2 * limits::kErrorTextBytesMax})
                         .value();
  auto talk = commit(1, CommitState::kRejected);
  talk.message = std::string(limits::kErrorTextBytesMax, 'm');
  // Flushed entries free capacity again.
  Result<void> last;
  for (int i = 0; last && i < 100'000; ++i) last = fleet->report(node(i), talk, 1000);
  REQUIRE_FALSE(last.has_value());
  CHECK(last.error().code == ErrorCode::kOverloaded);
  CHECK(fleet->report(node(1), commit(1, CommitState::kActive), 2000).has_value());
  REQUIRE(fleet->flush());
  CHECK(fleet->report(node(1), talk, 3000).has_value());
}

Error rollback(const std::string& message) { return {ErrorCode::kRollback, message, {}}; }

TEST_CASE("a node that distrusts what it was shown is listed with the reason until it reports") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  const model::LedgerId gateway{kPayments.zone, "gateway"};
  REQUIRE(fleet->node_seen(node(1), "notp-client/0.1", true, 1000).has_value());
  REQUIRE(fleet->report(node(1), commit(3, CommitState::kActive, gateway), 1001).has_value());
  REQUIRE(fleet->report(node(1), commit(7, CommitState::kActive), 1001).has_value());
  const auto rows = [&] {
    const auto page = fleet->list("", 10);
    REQUIRE(page.has_value());
    REQUIRE(page->nodes.size() == 1);
    REQUIRE(page->nodes[0].ledgers.size() == 2);
    return page->nodes[0].ledgers;
  };
  const auto code = static_cast<uint32_t>(ErrorCode::kRollback);

  fleet->refused(node(1), rollback(kPayments.text() + " v5 is below v7"));
  CHECK(rows()[0].code == 0);  // gateway, by name
  CHECK(rows()[1].code == code);
  CHECK(rows()[1].message == kPayments.text() + " v5 is below v7");
  // The active release is unaffected.
  CHECK(rows()[1].active_version == 7);
  CHECK(rows()[1].state == CommitState::kActive);

  // Another ledger with the same prefix is a different one.
  fleet->refused(node(1), rollback(kPayments.text() + "-old v5 is below v7, beside " +
                                   rows()[0].ledger.text()));
  CHECK(rows()[0].code == code);
  CHECK(rows()[1].code == 0);

  fleet->refused(node(1), rollback("root 1 is below root 2"));  // names no ledger
  CHECK(rows()[0].code == code);
  CHECK(rows()[1].message == "root 1 is below root 2");

  REQUIRE(fleet->report(node(1), commit(8, CommitState::kActive), 1002).has_value());
  CHECK(rows()[0].code == 0);
  CHECK(rows()[1].code == 0);
  CHECK(rows()[1].version == 8);
}

TEST_CASE("a node that never reported to this registry is listed with what it refuses") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  REQUIRE(fleet->node_seen(node(1), "notp-client/0.1", true, 1000).has_value());
  REQUIRE(fleet->subscribed(node(1), {kPayments}).has_value());
  CHECK(fleet->list("", 10)->nodes[0].ledgers.empty());
  fleet->refused(node(1), rollback(kPayments.text() + " v5 is below v7"));
  const wire::NodeLedger row = ledger_of(*fleet, node(1));
  CHECK(row.ledger == kPayments);
  CHECK(row.version == 0);
  CHECK(row.code == static_cast<uint32_t>(ErrorCode::kRollback));
}

TEST_CASE("of too many nodes that refuse the first ones are kept, and of a reason its beginning") {
  const TemporaryFolder folder;
  const auto fleet = open(folder);
  const int last = static_cast<int>(fleet::Fleet::kRefusalsMax);
  const auto is_listed = [&](int number) {
    REQUIRE(fleet->node_seen(node(number), "notp-client/0.1", true, 1000).has_value());
    REQUIRE(fleet->subscribed(node(number), {kPayments}).has_value());
    const auto page = fleet->list(node(number - 1), 1);
    REQUIRE(page.has_value());
    REQUIRE(page->nodes.size() == 1);
    return !page->nodes[0].ledgers.empty();
  };
  for (int number = 1; number <= last + 1; ++number)
    fleet->refused(node(number), rollback("root 1 is below root 2"));
  CHECK(is_listed(1));
  CHECK(is_listed(last));
  CHECK_FALSE(is_listed(last + 1));

  // A listed one may change its error, and an ended one frees its slot.
  const std::string endless(fleet::Fleet::kRefusalBytesMax + 1, 'x');
  fleet->refused(node(last), rollback(endless));
  const auto page = fleet->list(node(last - 1), 1);
  REQUIRE(page.has_value());
  CHECK(page->nodes[0].ledgers[0].message == endless.substr(0, fleet::Fleet::kRefusalBytesMax));
  REQUIRE(fleet->report(node(1), commit(8, CommitState::kActive), 1002).has_value());
  fleet->refused(node(last + 1), rollback("root 1 is below root 2"));
  CHECK(is_listed(last + 1));
}

TEST_CASE("how far a release has come counts who may still decide with an older one") {
  const TemporaryFolder folder;
  const model::LedgerId keys{273165098782, "keys"};
  constexpr TimeMs kStartedMs = 1'000, kSeenMs = 500'000;
  const auto seen = [](fleet::Fleet& fleet, int number, bool connected, TimeMs at_ms) {
    REQUIRE(fleet.node_seen(node(number), "notp-client/0.1", connected, at_ms).has_value());
  };
  {
    const auto fleet = open(folder);
    const auto join = [&](int number, const std::vector<model::LedgerId>& ledgers,
                          std::optional<wire::Commit> report) {
      seen(*fleet, number, true, kSeenMs);
      REQUIRE(fleet->subscribed(node(number), ledgers).has_value());
      if (report) REQUIRE(fleet->report(node(number), *report, kSeenMs).has_value());
    };
    const auto at = [&](uint64_t version, TimeMs now_ms) {
      const auto status = fleet->release_status(keys, version, kStartedMs, now_ms);
      REQUIRE(status.has_value());
      return *status;
    };
    using Status = wire::ReleaseStatus;
    CHECK(at(3, kSeenMs) == Status{0, 0, 0, 0});
    join(1, {keys, kPayments}, commit(3, CommitState::kActive, keys));
    join(2, {keys}, commit(4, CommitState::kActive, keys));  // a later one counts
    join(3, {keys}, commit(2, CommitState::kActive, keys));
    join(4, {keys}, std::nullopt);  // has reported nothing
    // Another ledger's nodes do not count, whatever they report.
    join(5, {kPayments}, commit(3, CommitState::kActive));
    join(6, {keys}, commit(2, CommitState::kActive, keys));
    REQUIRE(fleet->report(node(6), commit(3, CommitState::kRejected, keys), kSeenMs).has_value());
    CHECK(at(3, kSeenMs) == Status{5, 5, 2, 0});
    CHECK(at(2, kSeenMs) == Status{5, 5, 4, 0});
    // Stored is not active, and what a node has said in between does not lessen it.
    REQUIRE(fleet->report(node(3), commit(3, CommitState::kStored, keys), kSeenMs).has_value());
    CHECK(at(3, kSeenMs) == Status{5, 5, 2, 0});
    REQUIRE(fleet->report(node(3), commit(3, CommitState::kActive, keys), kSeenMs).has_value());
    CHECK(at(3, kSeenMs) == Status{5, 5, 3, 0});
    // A node whose session was cut may decide with what it had; after a while it is offline.
    seen(*fleet, 6, false, kSeenMs + 10);
    seen(*fleet, 1, false, kSeenMs + 10);  // had it already
    CHECK(at(3, kSeenMs + fleet::Fleet::kReconnectMs) == Status{5, 3, 2, 1});
    CHECK(at(3, kSeenMs + 10 + fleet::Fleet::kReconnectMs) == Status{5, 3, 2, 0});
    // A node that no longer wants the ledger does not count.
    REQUIRE(fleet->subscribed(node(4), {kPayments}).has_value());
    CHECK(at(3, kSeenMs) == Status{4, 2, 2, 1});
  }
  // A registry that has just started knows no node to be offline.
  const auto again = open(folder);
  const TimeMs late_ms = kSeenMs + 10 * fleet::Fleet::kReconnectMs;
  const auto status = again->release_status(keys, 4, late_ms - 5, late_ms);
  REQUIRE(status.has_value());
  CHECK(*status == wire::ReleaseStatus{4, 0, 0, 3});
  const auto later =
      again->release_status(keys, 4, late_ms - 5, late_ms - 5 + fleet::Fleet::kReconnectMs);
  REQUIRE(later.has_value());
  CHECK(*later == wire::ReleaseStatus{4, 0, 0, 0});
}

TEST_CASE("a file that is no fleet database is refused") {
  const TemporaryFolder folder;
  {
    const auto file = folder.path() / "fleet.db";
    std::FILE* out = std::fopen(file.c_str(), "w");
    std::fputs("this is not a database, and long enough to look like one might", out);
    std::fclose(out);
  }
  const auto fleet = fleet::Fleet::open(folder.path() / "fleet.db");
  REQUIRE_FALSE(fleet.has_value());
  CHECK(fleet.error().code == ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace notp
