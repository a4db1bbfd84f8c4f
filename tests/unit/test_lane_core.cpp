// A node's token lane: what it subscribes to, believes, acknowledges and shows.
#include <doctest/doctest.h>

#include <functional>

#include "tests/support/agent/lane_world.hpp"

namespace notp {
namespace {

using namespace lane_world;
using lane::AskOutcome;
using lane::LaneMode;
using lane::LaneTopic;

template <typename Change>
feed::SealedStatement changed(const Registry& registry, TimeMs now_ms, uint64_t from,
                              Change change) {
  feed::Batch batch{registry.header(now_ms), from, registry.head, {}};
  change(batch);
  return seal(feed::StatementType::kBatch, batch.encode(), registry.key);
}

}  // namespace

TEST_CASE("a node takes a snapshot, then batches, and acknowledges what is durable and decided") {
  Following world;
  Node& node = world.node;
  REQUIRE(node.subscribed.size() == 1);
  CHECK_FALSE(node.subscribed[0].position);
  CHECK(node.table == world.registry.rows);
  CHECK(node.state() == "live");
  CHECK(node.readout.is_complete);
  CHECK(node.is_accepted(4));
  CHECK_FALSE(node.is_accepted(3));
  CHECK(node.reported() == 11);
  CHECK(node.durable_marks.position == wire::LanePosition{history(1), 1, 11});

  node.stores = false;
  world.registry.add(dead(4));
  node.settle();
  CHECK_FALSE(node.is_accepted(4));  // decisions do not wait for the disk
  node.advance(2'000);
  CHECK(node.reported() == 11);  // the acknowledgement does
  node.stores = true;
  node.decides = false;
  world.registry.add(dead(5));
  node.settle();
  node.advance(2'000);
  CHECK(node.reported() == 12);  // and for the PDP
  node.decides = true;
  node.run();
  node.advance(2'000);
  CHECK(node.reported() == 13);
  CHECK(node.reports.back().tokens == 7);
  // Heartbeats are no reason to report.
  const size_t before = node.reports.size();
  node.advance(60'000);
  CHECK(node.reports.size() == before);
}

TEST_CASE("a node whose disk takes no writes decides by what arrives, and acknowledges nothing") {
  Following world;
  Node& node = world.node;
  const size_t before = node.reports.size();
  node.options.is_volatile = true;
  node.boot();
  node.connect();
  node.settle();
  world.registry.add(dead(4));
  node.settle();
  node.advance(5'000);
  CHECK_FALSE(node.is_accepted(4));
  CHECK(node.reports.size() == before);
}

TEST_CASE(
    "a node is cut, restarted, given less and given more at every step: it converges, and what "
    "it acknowledged as revoked stays revoked") {
  const std::vector<std::pair<std::string, std::function<void(Node&)>>> faults = {
      {"nothing", [](Node&) {}},
      {"a cut", [](Node& node) { node.cut(), node.connect(); }},
      {"a crash", [](Node& node) { node.crash(), node.connect(); }},
      {"a crash before anything was stored",
       [](Node& node) {
         node.stores = false;
         node.step();
         node.crash();
         node.stores = true;
         node.connect();
       }},
      {"a full disk",
       [](Node& node) {
         node.fails = true;
         node.step();
         node.fails = false;
       }},
      {"a full disk, and a crash",
       [](Node& node) {
         node.fails = true;
         node.step(), node.step();
         node.fails = false;
         node.step();
         node.crash();
         node.connect();
       }},
      {"a lost message", [](Node& node) { node.step_without_node(); }},
      {"a doubled message", [](Node& node) { node.step_twice(); }},
      {"swapped messages", [](Node& node) { node.step_swapped(); }},
      {"an altered message", [](Node& node) { node.step_altered(); }},
      {"compaction, and a cut",
       [](Node& node) {
         node.registry.compacted = node.registry.head;
         node.cut(), node.connect();
       }},
      {"another history",
       [](Node& node) {
         node.registry.instance = history(2);
         node.registry.head += 7;
         node.cut(), node.connect();
       }},
      {"another grant",
       [](Node& node) {
         node.registry.grant = 2;
         node.cut(), node.connect();
       }},
      {"a slow PDP",
       [](Node& node) {
         node.decides = false;
         node.step(), node.step();
         node.decides = true;
         node.run();
       }},
  };
  for (const bool keeps_tokens : {false, true})
    for (const auto& [name, fault] : faults)
      for (int at = 0; at < 24; ++at) {
        CAPTURE(name);
        CAPTURE(at);
        CAPTURE(keeps_tokens);
        Registry registry;
        Node node(registry);
        node.options.keeps_tokens = keeps_tokens;
        for (int number = 0; number < 20; ++number) registry.add(alive(number));
        registry.add(dead(0));
        node.boot();
        node.connect();
        std::map<int, uint64_t> revoked{{0, registry.head}};
        std::set<int> acknowledged;
        const auto check = [&] {
          for (const auto& [number, revision] : revoked)
            if (node.reported() >= revision) acknowledged.insert(number);
          for (const int number : acknowledged) CHECK_FALSE(node.is_accepted(number));
        };
        for (int i = 0; i < 24; ++i) {
          if (i == at) fault(node);
          check();
          node.step();
          check();
          if (i % 5 == 2) {
            registry.add(dead(i));
            revoked[i] = registry.head;
          }
          if (i % 3 == 0) registry.add(alive(100 + i));
          // A restored registry has revisions of its own: what it is told of them says nothing.
          if (registry.instance != history(1)) acknowledged.clear(), revoked.clear();
        }
        node.settle();
        node.advance(limits::kLaneAgainMaxMs * 2);
        check();
        Rows want = registry.rows;
        CHECK(node.table == want);
        CHECK(node.reported() == registry.head);
        CHECK(node.state() == "live");
        // Offline, a restart keeps every revocation.
        node.crash();
        for (const auto& [number, revision] : revoked)
          CHECK(node.table.contains({EventKind::kDeleted, token_id(number)}));
        CHECK(node.readout.is_complete);
        CHECK(node.is_accepted(19) == keeps_tokens);
      }
}

TEST_CASE("a node refuses statements that are not for it, not by the key, or not of its time") {
  Following world;
  Node& node = world.node;
  Registry& registry = world.registry;
  registry.add(dead(4));
  const auto give = [&](const feed::SealedStatement& statement) {
    node.refused.clear();
    node.give(statement);
    REQUIRE(node.refused.size() == 1);
    return node.refused[0].code;
  };
  const auto with = [&](auto change) {
    return give(changed(registry, node.now.wall_ms, 11, change));
  };
  CHECK(with([](feed::Batch& batch) { batch.header.trust_domain = "other.internal"; }) ==
        ErrorCode::kWrongTarget);
  CHECK(with([](feed::Batch& batch) { batch.header.lane = "other"; }) == ErrorCode::kWrongTarget);
  CHECK(with([](feed::Batch& batch) { batch.header.instance = history(9); }) ==
        ErrorCode::kWrongTarget);
  CHECK(with([](feed::Batch& batch) { batch.header.grant = 9; }) == ErrorCode::kWrongTarget);
  CHECK(with([&](feed::Batch& batch) {
          batch.header.time_ms = node.now.wall_ms + limits::kClockSkewMs + 1;
        }) == ErrorCode::kClock);
  auto statement = registry.batch(11, node.now.wall_ms);
  statement.signature[0] ^= 1;
  CHECK(give(statement) == ErrorCode::kSignature);
  statement = registry.batch(11, node.now.wall_ms);
  statement.type = feed::StatementType::kSnapshot;
  CHECK(give(statement) == ErrorCode::kSignature);
  CHECK(give(seal(feed::StatementType::kBatch, "nonsense", registry.key)) == ErrorCode::kMessage);
  // Of all of these one alarm, and it ends with the next good statement.
  CHECK(node.alarms.size() == 1);
  CHECK(node.is_accepted(4));
  node.give(registry.batch(11, node.now.wall_ms));
  CHECK_FALSE(node.is_accepted(4));
  REQUIRE(node.over.size() >= 1);
  CHECK(node.over.back() == LaneTopic::kStatement);
}

TEST_CASE("a replayed statement makes a lane neither newer nor other") {
  Following world;
  Node& node = world.node;
  const auto old = world.registry.batch(0, node.now.wall_ms);
  const TimeMs heard_ms = node.readout.heard_ms;
  world.registry.terms.hard_s = 60;
  node.advance(10'000);
  REQUIRE(node.readout.hard_s == 60);
  node.heartbeats = false;
  node.advance(50'000);
  CHECK(node.state() == "lagging");
  node.give(old);
  CHECK(node.state() == "lagging");
  CHECK(node.readout.heard_ms > heard_ms);
  CHECK(node.readout.hard_s == 60);
  node.advance(20'000);
  CHECK(node.state() == "stale");
  CHECK_FALSE(node.is_accepted(4));
}

TEST_CASE("a registry whose history is shorter than the node's is not followed") {
  Following world;
  Node& node = world.node;
  world.registry.head = 5;
  std::erase_if(world.registry.history_of_rows, [](const auto& each) { return each.first > 5; });
  node.cut();
  node.heartbeats = false;
  node.connect();
  node.settle();
  node.advance(5'000);
  REQUIRE_FALSE(node.alarms.empty());
  CHECK(node.alarms.back().topic == LaneTopic::kHistory);
  CHECK(node.alarms.back().error.code == ErrorCode::kRollback);
  node.advance(900'000);
  CHECK(node.state() == "stale");
  CHECK_FALSE(node.is_accepted(4));
}

TEST_CASE("a lane ages, and a clock that is set back makes it no younger") {
  Following world;
  Node& node = world.node;
  node.heartbeats = false;
  node.advance(limits::kLaneLiveMs);
  CHECK(node.states.back() == "live");
  node.advance(1);
  CHECK(node.states.back() == "lagging");
  node.advance(870'000 - 1);
  CHECK(node.states.back() == "lagging");
  CHECK(node.is_accepted(4));
  node.advance(1);
  CHECK(node.states.back() == "stale");
  CHECK(node.reports.back().age == wire::LaneAge::kStale);
  CHECK_FALSE(node.is_accepted(4));

  node.now.wall_ms -= 800'000;
  node.core->on_deadline(node.now);
  node.run();
  CHECK(node.states.back() == "stale");
  CHECK_FALSE(node.is_accepted(4));
  // Nor does a restart with that clock: the time that was seen is durable.
  node.advance(60'000);
  node.crash();
  CHECK(node.state() == "stale");
  CHECK(node.readout.is_complete);
  node.connect();
  node.settle();
  CHECK(node.state() == "lagging");  // what is signed now is 13 minutes old by what was seen
}

TEST_CASE("when trusted time is set back by proof, a snapshot brings what was taken for ended") {
  Following world;
  Node& node = world.node;
  const TimeMs right_ms = node.now.wall_ms;
  node.heartbeats = false;
  node.now.wall_ms += 7'200'000;  // everything ends
  node.core->on_deadline(node.now);
  node.run();
  node.advance(2'000);
  CHECK(node.table.empty());
  node.now.wall_ms = right_ms + 2'000;
  node.core->on_clock_set_back(node.now.wall_ms, node.now);
  node.run();
  CHECK_FALSE(node.readout.is_complete);  // everything counts as revoked
  CHECK_FALSE(node.durable_marks.position);
  node.settle();
  node.advance(2'000);
  CHECK(node.readout.is_complete);
  CHECK(node.table == world.registry.rows);
  CHECK(node.state() == "live");
}

TEST_CASE("a registry without lanes, without a right, and a root without a key are told apart") {
  Registry registry;
  Node node(registry);
  SUBCASE("no lanes") {
    node.boot();
    node.connect();
    node.feed.reset();
    CHECK(node.state() == "unknown");
    node.advance(limits::kLaneAnswerMs - 1);
    CHECK(node.state() == "unknown");
    node.advance(1);
    CHECK(node.state() == "unsupported");
    node.cut();
    node.connect();
    node.settle();
    CHECK(node.state() == "live");
  }
  SUBCASE("not this lane") {
    registry.refuses = static_cast<uint32_t>(ErrorCode::kNotFound);
    node.boot();
    node.connect();
    node.settle();
    CHECK(node.state() == "unsupported");
    REQUIRE(node.alarms.size() == 1);
    CHECK(node.alarms[0].topic == LaneTopic::kRefused);
  }
  SUBCASE("no right") {
    registry.refuses = static_cast<uint32_t>(ErrorCode::kDenied);
    node.boot();
    node.connect();
    node.settle();
    CHECK(node.state() == "denied");
    REQUIRE(node.alarms.size() == 1);
    CHECK(node.alarms[0].topic == LaneTopic::kRefused);
    // The registry says so when that changes.
    registry.refuses = 0;
    node.feed->subscribe(node.subscribed.back());
    node.settle();
    CHECK(node.state() == "live");
    CHECK(node.over == std::vector{LaneTopic::kRefused});
  }
  SUBCASE("no key") {
    node.key.reset();
    node.boot();
    node.connect();
    node.settle();
    CHECK(node.state() == "denied");
    CHECK(node.subscribed.empty());
    REQUIRE(node.alarms.size() == 1);
    CHECK(node.alarms[0].error.message.contains("notp root set-lane-key"));
    node.core->on_root(registry.key.public_key(), node.now);
    node.run();
    node.settle();
    CHECK(node.state() == "live");
  }
}

TEST_CASE("a statement under another key than the newest root's is refused") {
  Following world;
  Node& node = world.node;
  const PrivateKey next = PrivateKey::from_seed({8});
  node.core->on_root(next.public_key(), node.now);
  node.run();
  world.registry.add(dead(4));
  node.give(world.registry.batch(11, node.now.wall_ms));
  REQUIRE(node.refused.size() == 1);
  CHECK(node.refused[0].code == ErrorCode::kSignature);
  CHECK(node.is_accepted(4));
  // It says so, once, until the registry has the key or the root has the registry's.
  CHECK(node.state() == "denied");
  node.settle();
  node.cut();
  node.connect();
  node.settle();
  CHECK(node.state() == "denied");
  REQUIRE(node.alarms.size() == 1);
  CHECK(node.alarms[0].topic == LaneTopic::kKey);
  CHECK(node.alarms[0].error.message.contains("notp root set-lane-key"));
  node.core->on_root(world.registry.key.public_key(), node.now);
  node.run();
  node.settle();
  CHECK(node.state() == "live");
  CHECK_FALSE(node.is_accepted(4));
  CHECK(node.over == std::vector{LaneTopic::kKey});
}

TEST_CASE("a damaged statement is not one of another key") {
  Following world;
  Node& node = world.node;
  world.registry.add(dead(4));
  auto statement = world.registry.batch(11, node.now.wall_ms);
  statement.signature[0] ^= 1;
  node.give(statement);
  CHECK(node.state() == "live");
  REQUIRE(node.alarms.size() == 1);
  CHECK(node.alarms[0].topic == LaneTopic::kStatement);
}

TEST_CASE(
    "a gap is followed again at once, and a registry that goes on making gaps less and less "
    "often") {
  Following world;
  Node& node = world.node;
  node.heartbeats = false;
  const size_t before = node.subscribed.size();
  for (int i = 0; i < 1'000; ++i) {
    node.give(changed(world.registry, node.now.wall_ms, 500 + i,
                      [&](feed::Batch& batch) { batch.header.head = batch.to = 900 + i; }));
    node.advance(1'000);
  }
  const size_t again = node.subscribed.size() - before;
  CHECK(again >= 10);
  CHECK(again <= 26);  // 1, 2, 4 … 60 s in 1,000 s
}

TEST_CASE("a node that is too slow drops statements, and follows again when it has caught up") {
  Following world;
  Node& node = world.node;
  node.stores = false;
  const size_t before = node.subscribed.size();
  for (size_t i = 0; i <= limits::kLaneOpenChangesMax + 10; ++i) {
    world.registry.add(dead(1'000 + static_cast<int>(i)));
    node.settle();
  }
  CHECK(node.subscribed.size() == before);
  CHECK(node.unstored.size() <= limits::kLaneOpenChangesMax + 2);
  CHECK(node.table.size() < world.registry.rows.size());
  node.stores = true;
  node.run();
  node.settle();
  CHECK(node.subscribed.size() == before + 1);
  CHECK(node.table == world.registry.rows);
  node.advance(2'000);
  CHECK(node.reported() == world.registry.head);
}

// --- asking

TEST_CASE("in ask mode revocations are pushed, tokens come when they are asked for, once") {
  Following world(LaneMode::kAsk);
  Node& node = world.node;
  CHECK(node.tokens() == 0);
  CHECK(node.table.contains({EventKind::kDeleted, token_id(3)}));

  for (int i = 0; i < 5; ++i) node.core->ask(token_id(1), node.now);
  node.run();
  CHECK(node.asked == std::vector<size_t>{1});  // one flight
  CHECK(node.resolved.empty());
  node.settle();
  REQUIRE(node.resolved.size() == 1);
  CHECK(node.resolved[0] == std::pair(token_id(1), AskOutcome::kKnown));
  CHECK(node.is_accepted(1));
  node.core->ask(token_id(1), node.now);
  node.run();
  CHECK(node.resolved.size() == 2);  // at once
  CHECK(node.asked.size() == 1);

  // Deleted meanwhile: pushed.
  world.registry.add(dead(1));
  node.settle();
  CHECK_FALSE(node.is_accepted(1));
  // An answer is used for a minute.
  node.advance(1);
  node.core->ask(token_id(2), node.now);
  node.run();
  node.settle();
  CHECK(node.is_accepted(2));
  node.advance(limits::kLaneHeldMs - 1);
  CHECK(node.is_accepted(2));
  node.advance(1);
  CHECK_FALSE(node.is_accepted(2));
  CHECK(node.core->asks().held() == 0);
}

TEST_CASE("behind a snapshot, which has no tokens in ask mode, a token is asked for again") {
  Following world(LaneMode::kAsk);
  Node& node = world.node;
  node.core->ask(token_id(1), node.now);
  node.run();
  node.settle();
  REQUIRE(node.is_accepted(1));
  world.registry.add(dead(4));
  world.registry.compacted = world.registry.head;
  node.cut();
  world.registry.add(dead(5));
  node.connect();
  node.settle();
  REQUIRE(node.table.contains({EventKind::kDeleted, token_id(5)}));
  CHECK_FALSE(node.is_accepted(1));
  node.advance(1);
  node.resolved.clear();
  node.core->ask(token_id(1), node.now);
  node.run();
  node.settle();
  REQUIRE(node.resolved.size() == 1);
  CHECK(node.resolved[0].second == AskOutcome::kKnown);
  CHECK(node.is_accepted(1));
}

}  // namespace notp
